//! portcullis-jose
