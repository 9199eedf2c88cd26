//! Capture: from requests and responses to finished records.
