//! The whole face in process: realms and the rights over them, the token endpoint's races.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod office;
mod realms;
mod rights;
mod stage;
mod tokens;

const DEMO: &str = include_str!("../../../testkit/golden/realms/demo.json");
