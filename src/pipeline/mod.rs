//! The pipeline: from a finished record to a committed one.
