// Before anything is painted: the colour scheme that was chosen here.
"use strict";
try {
  const scheme = localStorage.getItem("scheme");
  if (scheme === "light" || scheme === "dark") document.documentElement.dataset.scheme = scheme;
} catch { /* no storage: the system's scheme holds */ }
