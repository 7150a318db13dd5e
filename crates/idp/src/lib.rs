//! portcullis-idp
