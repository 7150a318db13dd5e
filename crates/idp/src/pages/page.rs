//! The contract between a page's struct and its template, and the samples that both are tried with.

use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::{
    ConfigureTotpPage, ConsentPage, DeviceCodePage, ErrorPage, FormPostPage, FrontChannelLogoutPage, FrontPage,
    InfoPage, LoginPage, LogoutConfirmPage, OtpPage, OutOfBandPage, PageExpiredPage, RegisterPage, ResetPasswordPage,
    UpdatePasswordPage, UpdateProfilePage,
};

/// A page: a struct whose fields the template reads as `page.field`.
pub trait Page: Serialize + Sized {
    /// The template's file name, Keycloak's with another ending.
    const TEMPLATE: &'static str;

    /// Named pages that together reach every branch of the template. Themes are tried with them at start.
    fn samples() -> Vec<(&'static str, Self)>;
}

/// A sample of some page, ready to render with [`super::Pages::render_sample`].
#[derive(Debug, Clone)]
pub struct Sample {
    /// The template's file name.
    pub template: &'static str,
    /// The sample's name within its page.
    pub name: &'static str,
    pub(crate) value: Value,
}

/// Every sample of every page.
pub fn gallery() -> Vec<Sample> {
    let mut all = Vec::new();
    add::<LoginPage>(&mut all);
    add::<UpdatePasswordPage>(&mut all);
    add::<OtpPage>(&mut all);
    add::<ConfigureTotpPage>(&mut all);
    add::<ConsentPage>(&mut all);
    add::<DeviceCodePage>(&mut all);
    add::<InfoPage>(&mut all);
    add::<ErrorPage>(&mut all);
    add::<LogoutConfirmPage>(&mut all);
    add::<FrontChannelLogoutPage>(&mut all);
    add::<PageExpiredPage>(&mut all);
    add::<RegisterPage>(&mut all);
    add::<UpdateProfilePage>(&mut all);
    add::<ResetPasswordPage>(&mut all);
    add::<FormPostPage>(&mut all);
    add::<OutOfBandPage>(&mut all);
    add::<FrontPage>(&mut all);
    all
}

fn add<P: Page>(all: &mut Vec<Sample>) {
    let samples = P::samples().into_iter();
    all.extend(samples.map(|(name, page)| Sample { template: P::TEMPLATE, name, value: Value::from(Serde(&page)) }));
}
