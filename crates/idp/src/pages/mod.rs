//! Pages: everything a person sees of the identity provider.
//!
//! Owns: templates, their typed contexts, messages, style, a theme folder that overrides them at run time, the static
//! pages of keycloak-js, and the header sets of HTML answers.
//! Does not own: HTTP handlers, statuses, cookies, or any decision. A handler fills a page and gets text back.
//! Flow: a [`Page`] and a [`Chrome`] -> [`Pages::render`] -> template of the theme, else the built-in one -> HTML.
//!
//! The ids, names and texts that clients read are those recorded from Keycloak 26.4.2; the look is ours.

mod assets;
mod catalogue;
mod chrome;
mod error_page;
mod face;
mod keycloak_js;
mod login;
mod message_format;
mod other;
mod out_of_band;
mod page;
mod profile;
mod properties;
pub mod security;
mod text;
mod theme;
mod totp;

#[cfg(test)]
mod tests;

pub use assets::Asset;
pub use catalogue::Catalogue;
pub use chrome::{Chrome, ColourScheme, LocaleLink, RealmName};
pub use error_page::{Advice, Developer, ErrorPage, Fault};
pub use face::Pages;
pub use keycloak_js::{LOGIN_STATUS_IFRAME, STEP1, STEP2, StaticPage};
pub use login::{
    ConsentPage, DeviceCodePage, KnownUser, LoginPage, OtpDevice, OtpPage, UpdatePasswordPage, UsernameLabel,
};
pub use other::{
    FormField, FormPostPage, FrontChannelClient, FrontChannelLogoutPage, FrontPage, InfoPage, Link, LogoutConfirmPage,
    PageExpiredPage,
};
pub use out_of_band::OutOfBandPage;
pub use page::{Page, Sample, gallery};
pub use profile::{ProfileField, RegisterPage, ResetPasswordPage, UpdateProfilePage};
pub use text::{Alert, Level, Text};
pub use theme::ThemeError;
pub use totp::{ConfigureTotpPage, QrCode};
