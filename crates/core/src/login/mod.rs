//! The login flow as law: which page is next, what an answer to it means, when an account rests.
//!
//! **Owns** the stages of a flow, the dispatcher that alone chooses the next step, required actions, one-time codes, consent,
//! what a session's notes say was proven, brute force and guessing over many accounts, password policy, the single sign-on cookie's rules.
//! **Does not own** pages (idp), hashing (idp), sessions' storage (store).
//! **Flow** [`flow::Tab`] (one per browser tab) -> [`next::next`] says the step -> the step's answer moves the
//! [`flow::Stage`] -> [`next::next`] again, until it says issue.

pub mod brute_force;
pub mod consent;
pub mod cookie_header;
pub mod factors;
pub mod flow;
pub mod level;
pub mod next;
pub mod one_time_code;
pub mod password_policy;
pub mod required_action;
pub mod session_cookie;
pub mod spray;
