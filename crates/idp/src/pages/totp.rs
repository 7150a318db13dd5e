//! The page on which a person adds an authenticator app, and the picture that the app scans.

use std::fmt::Write as _;

use portcullis_core::login::one_time_code::Terms;
use portcullis_core::secret::Secret;
use qrcode::{Color, EcLevel};
use serde::Serialize;

use super::{Alert, Page, Text};

/// Light modules around the picture (ISO/IEC 18004 §9.1).
const QUIET: usize = 4;

/// A QR code as one path of squares.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct QrCode {
    /// Modules of a side, the quiet zone included.
    pub size: usize,
    /// The dark modules, as an SVG path.
    pub path: String,
}

impl std::fmt::Debug for QrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QrCode").field("size", &self.size).finish_non_exhaustive()
    }
}

impl QrCode {
    /// Of a text; `None` when it is too long for any picture.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let code = qrcode::QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (y, row) in code.to_colors().chunks(width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run.first() == Some(&Color::Dark) {
                    let _ = write!(path, "M{} {}h{n}v1h-{n}z", x + QUIET, y + QUIET, n = run.len());
                }
                x += run.len();
            }
        }
        Some(Self { size: width + 2 * QUIET, path })
    }
}

/// A new authenticator app (required action, form `kc-totp-settings-form`).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ConfigureTotpPage {
    /// Where the form posts to.
    pub action: String,
    /// For password managers; not posted.
    pub username: String,
    /// What the app scans.
    pub qr: Option<QrCode>,
    /// The seed in groups of four, to type.
    pub key: String,
    /// Whether codes go by a counter.
    pub hotp: bool,
    /// The hash's name as apps write it.
    pub algorithm: String,
    /// Digits of a code.
    pub digits: i64,
    /// Seconds of a step.
    pub period: i64,
    /// The first counter.
    pub counter: i64,
    /// Whether the device must have a name: it is not the first.
    pub named: bool,
    /// The name that was typed.
    pub label: String,
    /// A notice above the form.
    pub alert: Option<Alert>,
    /// What was wrong with the code, at `input-error-otp-code`.
    pub code_error: Option<Text>,
    /// What was wrong with the name, at `input-error-otp-label`.
    pub label_error: Option<Text>,
}

impl std::fmt::Debug for ConfigureTotpPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigureTotpPage").field("named", &self.named).finish_non_exhaustive()
    }
}

impl ConfigureTotpPage {
    /// The page as it is first shown.
    #[must_use]
    pub fn new(seed: &Secret, terms: Terms) -> Self {
        let groups: Vec<String> =
            seed.expose().as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        Self {
            action: String::new(),
            username: String::new(),
            qr: None,
            key: groups.join(" "),
            hotp: terms.hotp,
            algorithm: terms.algorithm.trim_start_matches("Hmac").to_owned(),
            digits: terms.digits,
            period: terms.period,
            counter: terms.counter,
            named: false,
            label: String::new(),
            alert: Some(Alert::warning(Text::key("configureTotpMessage"))),
            code_error: None,
            label_error: None,
        }
    }

    /// As a person without a device sees it.
    #[must_use]
    pub fn sample() -> Self {
        let terms = Terms { hotp: false, algorithm: "HmacSHA1", digits: 6, period: 30, counter: 0 };
        let seed = Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = "otpauth://totp/Acme:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=6&algorithm=SHA1&issuer=Acme&period=30";
        Self {
            action: "/realms/demo/login-actions/required-action?execution=CONFIGURE_TOTP&client_id=app&tab_id=t1"
                .to_owned(),
            username: "alice".to_owned(),
            qr: QrCode::of(uri),
            ..Self::new(&seed, terms)
        }
    }
}

impl Page for ConfigureTotpPage {
    const TEMPLATE: &'static str = "login-config-totp.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let quiet = Self { alert: None, ..Self::sample() };
        let wrong = Some(Text::key("invalidTotpMessage"));
        let unnamed = Some(Text::key("missingTotpDeviceNameMessage"));
        vec![
            ("first", Self::sample()),
            ("wrong", Self { code_error: wrong, label: "Phone".to_owned(), ..quiet.clone() }),
            ("unnamed", Self { named: true, label_error: unnamed, hotp: true, ..quiet.clone() }),
            ("no-picture", Self { qr: None, ..quiet }),
        ]
    }
}
