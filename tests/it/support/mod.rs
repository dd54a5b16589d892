//! What tests share: sealed worlds, real servers, redaction.
