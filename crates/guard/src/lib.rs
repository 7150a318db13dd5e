//! portcullis-guard
