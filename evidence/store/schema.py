"""The tables of the store, version after version."""

from __future__ import annotations

# One entry for each version of the schema; its position is SQLite's user_version. Never edited
# once released: a change is a further entry.
MIGRATIONS = (
    """
    CREATE TABLE records (
      pmid INTEGER PRIMARY KEY,
      body TEXT NOT NULL,           -- the Record's fields as JSON
      retracted INTEGER NOT NULL,
      revised TEXT,                 -- DateRevised
      fetched_on TEXT NOT NULL,     -- days, never times
      changed_on TEXT NOT NULL,     -- when the body last differed from the one before
      told_on TEXT                  -- when its retraction was told to the reviewer
    );
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY,
      claim TEXT NOT NULL,
      source TEXT NOT NULL,
      kind TEXT NOT NULL,
      ran_on TEXT NOT NULL,
      query TEXT NOT NULL,
      translation TEXT NOT NULL,
      count INTEGER NOT NULL,
      warnings TEXT NOT NULL,       -- JSON list
      complete INTEGER NOT NULL,
      UNIQUE (claim, source, kind, ran_on, query)
    );
    CREATE TABLE members (
      claim TEXT NOT NULL,
      pmid INTEGER NOT NULL,        -- PubMed may list a record that it does not serve
      first_seen TEXT NOT NULL,
      last_seen TEXT NOT NULL,
      dropped_on TEXT,
      revised_seen TEXT,            -- when a search last listed it as revised
      first_run INTEGER NOT NULL REFERENCES runs (id),
      last_run INTEGER NOT NULL REFERENCES runs (id),
      PRIMARY KEY (claim, pmid)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE slices (
      query TEXT NOT NULL,          -- SHA-256 of the query
      low INTEGER NOT NULL,
      high INTEGER NOT NULL,
      reply TEXT NOT NULL,          -- SHA-256 of the reply that held it
      pmids TEXT NOT NULL,          -- JSON list
      kept_on TEXT NOT NULL,
      PRIMARY KEY (query, low, high)
    ) WITHOUT ROWID;
    CREATE TABLE states (
      pmid INTEGER NOT NULL,
      state TEXT NOT NULL,          -- retraction, concern, erratum, update, republication
      notice TEXT NOT NULL,         -- as PubMed cites the other publication
      first_seen TEXT NOT NULL,
      gone_on TEXT,                 -- PubMed took it back
      told_on TEXT,                 -- when it was told to the reviewer of an included study
      PRIMARY KEY (pmid, state, notice)
    ) WITHOUT ROWID;
    INSERT INTO states
      SELECT pmid,
        CASE substr(value, 1, instr(value, ':') - 1)
          WHEN 'RetractionIn' THEN 'retraction'
          WHEN 'ExpressionOfConcernIn' THEN 'concern'
          WHEN 'ErratumIn' THEN 'erratum'
          WHEN 'UpdateIn' THEN 'update'
          ELSE 'republication' END,
        value, changed_on, NULL, CASE WHEN value LIKE 'RetractionIn:%' THEN told_on END
      FROM records, json_each(records.body, '$.notices')
      WHERE substr(value, 1, instr(value, ':') - 1) IN ('RetractionIn', 'ExpressionOfConcernIn',
        'ErratumIn', 'UpdateIn', 'RetractedandRepublishedIn', 'CorrectedandRepublishedIn',
        'RepublishedIn')
      GROUP BY pmid, value;
    """,
    """
    CREATE TABLE others (
      claim TEXT NOT NULL,
      id TEXT NOT NULL,             -- file and line
      source TEXT NOT NULL,         -- the file that it came in
      body TEXT NOT NULL,           -- a reference of another database, as JSON
      name TEXT NOT NULL,           -- of the work: "doi:10.1/x", or a digest of what it says
      pmid INTEGER,                 -- of the work, where one is known
      added_on TEXT NOT NULL,
      PRIMARY KEY (claim, id)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE runs ADD COLUMN basis TEXT NOT NULL DEFAULT '';
    """,
)
