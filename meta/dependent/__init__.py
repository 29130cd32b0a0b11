"""Effects that depend on each other: multilevel and multivariate models, known covariances,
cluster-robust inference, aggregation."""
