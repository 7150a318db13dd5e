//! The login flow as law: which page is next, what an answer to it means, when an account rests.
//!
//! **Owns** the stages of a flow, the dispatcher that alone chooses the next step, required actions, brute force, password policy.
//! **Does not own** pages (idp), hashing (idp), sessions' storage (store).
