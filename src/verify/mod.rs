//! Verification: analysis templates, measurements, verdicts.
