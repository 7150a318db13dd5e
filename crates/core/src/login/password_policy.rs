//! Keycloak's password policy string: `length(8) and digits(1) and notUsername` (Keycloak 26.4).

/// One rule of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Rule {
    Length(usize),
    MaxLength(usize),
    Digits(usize),
    LowerCase(usize),
    UpperCase(usize),
    SpecialChars(usize),
    NotUsername,
    NotContainsUsername,
    NotEmail,
    History(usize),
    /// A rule that judges passwords and cannot be judged here: no new password passes (fail closed).
    Unchecked(Violation),
}

/// Which rule a password breaks: Keycloak's message key with its argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Key of the message bundles, e.g. `invalidPasswordMinLengthMessage`.
    pub message: &'static str,
    /// Its `{0}`.
    pub argument: Option<usize>,
}

/// A realm's password policy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PasswordPolicy {
    rules: Vec<Rule>,
    /// `hashAlgorithm`, kept.
    pub hash_algorithm: Option<String>,
    /// `hashIterations`, kept.
    pub hash_iterations: Option<u32>,
}

/// Whose password it shall be.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Login name.
    pub username: &'a str,
    /// E-mail.
    pub email: Option<&'a str>,
}

impl PasswordPolicy {
    /// Reads a policy. Rules that do not judge the password itself are left to those who own them; an unknown rule, or one
    /// that needs a pattern or a list we do not have, refuses every new password until it is removed.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let mut policy = Self::default();
        for piece in split(text.unwrap_or_default()) {
            let (name, argument) = match piece.split_once('(') {
                Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')').unwrap_or(rest)),
                None => (piece.trim(), ""),
            };
            let number = |default: usize| argument.trim().parse().unwrap_or(default);
            policy.rules.push(match name {
                "length" => Rule::Length(number(8)),
                "maxLength" => Rule::MaxLength(number(64)),
                "digits" => Rule::Digits(number(1)),
                "lowerCase" => Rule::LowerCase(number(1)),
                "upperCase" => Rule::UpperCase(number(1)),
                "specialChars" => Rule::SpecialChars(number(1)),
                "notUsername" => Rule::NotUsername,
                "notContainsUsername" => Rule::NotContainsUsername,
                "notEmail" => Rule::NotEmail,
                "passwordHistory" => Rule::History(number(3)),
                "regexPattern" => Rule::Unchecked(plain("invalidPasswordRegexPatternMessage")),
                "passwordBlacklist" => Rule::Unchecked(plain("invalidPasswordBlacklistedMessage")),
                "hashAlgorithm" => {
                    policy.hash_algorithm = Some(argument.to_owned());
                    continue;
                }
                "hashIterations" => {
                    policy.hash_iterations = argument.trim().parse().ok();
                    continue;
                }
                "" if piece.trim().is_empty() => continue,
                // About the age of passwords and logins, not about their text.
                "forceExpiredPasswordChange" | "maxAuthAge" | "passwordAge" | "recoveryCodesWarningThreshold" => {
                    continue;
                }
                _ => Rule::Unchecked(plain("invalidPasswordGenericMessage")),
            });
        }
        policy
    }

    /// Judges a new password, the rules in their order.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, password: &str, owner: Owner<'_>) -> Result<(), Violation> {
        self.rules.iter().try_for_each(|rule| check(rule, password, owner))
    }

    /// How many older passwords may not come back, the present one included.
    #[must_use]
    pub fn history(&self) -> Option<usize> {
        self.rules.iter().find_map(|rule| if let Rule::History(n) = rule { Some(*n) } else { None })
    }

    /// What [`PasswordPolicy::history`] says when it is broken.
    #[must_use]
    pub fn history_violation(&self) -> Violation {
        numbered("invalidPasswordHistoryMessage", self.history().unwrap_or(0))
    }
}

/// At ` and ` outside of parentheses, so that a pattern may hold the word.
fn split(text: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth <= 0 && text.get(at..).is_some_and(|rest| rest.starts_with(" and ")) => {
                pieces.push(text.get(start..at).unwrap_or_default());
                start = at + 5;
            }
            _ => {}
        }
    }
    pieces.push(text.get(start..).unwrap_or_default());
    pieces
}

const fn plain(message: &'static str) -> Violation {
    Violation { message, argument: None }
}

const fn numbered(message: &'static str, argument: usize) -> Violation {
    Violation { message, argument: Some(argument) }
}

fn check(rule: &Rule, password: &str, owner: Owner<'_>) -> Result<(), Violation> {
    let count = |is: fn(char) -> bool| password.chars().filter(|c| is(*c)).count();
    let at_least = |found: usize, wanted: usize, message| {
        if found >= wanted { Ok(()) } else { Err(numbered(message, wanted)) }
    };
    let unless = |broken: bool, message| if broken { Err(plain(message)) } else { Ok(()) };
    match rule {
        Rule::Length(n) => at_least(password.chars().count(), *n, "invalidPasswordMinLengthMessage"),
        Rule::MaxLength(n) if password.chars().count() > *n => Err(numbered("invalidPasswordMaxLengthMessage", *n)),
        Rule::MaxLength(_) | Rule::History(_) => Ok(()),
        Rule::Digits(n) => at_least(count(|c| c.is_numeric()), *n, "invalidPasswordMinDigitsMessage"),
        Rule::LowerCase(n) => at_least(count(char::is_lowercase), *n, "invalidPasswordMinLowerCaseCharsMessage"),
        Rule::UpperCase(n) => at_least(count(char::is_uppercase), *n, "invalidPasswordMinUpperCaseCharsMessage"),
        Rule::SpecialChars(n) => at_least(count(|c| !c.is_alphanumeric()), *n, "invalidPasswordMinSpecialCharsMessage"),
        Rule::NotUsername => {
            unless(password.to_lowercase() == owner.username.to_lowercase(), "invalidPasswordNotUsernameMessage")
        }
        Rule::NotContainsUsername => unless(
            password.to_lowercase().contains(&owner.username.to_lowercase()),
            "invalidPasswordNotContainsUsernameMessage",
        ),
        Rule::NotEmail => unless(
            owner.email.is_some_and(|email| email.to_lowercase() == password.to_lowercase()),
            "invalidPasswordNotEmailMessage",
        ),
        Rule::Unchecked(violation) => Err(violation.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Owner<'_> = Owner { username: "alice", email: Some("alice@example.test") };

    #[test]
    fn keycloak_policies_are_read_and_judged() {
        for (policy, password, broken) in [
            ("", "x", None),
            ("length(8)", "1234567", Some(("invalidPasswordMinLengthMessage", Some(8)))),
            ("length(8)", "12345678", None),
            ("length(undefined)", "1234567", Some(("invalidPasswordMinLengthMessage", Some(8)))),
            ("length(4)", "\u{e9}\u{1f600}x", Some(("invalidPasswordMinLengthMessage", Some(4)))),
            ("maxLength(3)", "1234", Some(("invalidPasswordMaxLengthMessage", Some(3)))),
            ("digits(2) and upperCase(1)", "a1B2", None),
            ("digits(2) and upperCase(1)", "a12", Some(("invalidPasswordMinUpperCaseCharsMessage", Some(1)))),
            ("digits(2) and upperCase(1)", "aB1", Some(("invalidPasswordMinDigitsMessage", Some(2)))),
            ("lowerCase(1)", "ABC", Some(("invalidPasswordMinLowerCaseCharsMessage", Some(1)))),
            ("specialChars(1)", "abc1", Some(("invalidPasswordMinSpecialCharsMessage", Some(1)))),
            ("specialChars(1)", "abc 1", None),
            ("notUsername(undefined)", "ALICE", Some(("invalidPasswordNotUsernameMessage", None))),
            ("notUsername", "alice1", None),
            ("notContainsUsername", "xAlicex", Some(("invalidPasswordNotContainsUsernameMessage", None))),
            ("notEmail", "alice@example.test", Some(("invalidPasswordNotEmailMessage", None))),
            ("passwordHistory(3) and hashIterations(7) and forceExpiredPasswordChange(365)", "x", None),
            ("regexPattern(^(a+ and b)+$) and length(1)", "x", Some(("invalidPasswordRegexPatternMessage", None))),
            ("somethingNew(1)", "x", Some(("invalidPasswordGenericMessage", None))),
        ] {
            let found = PasswordPolicy::parse(Some(policy)).check(password, ALICE).err();
            assert_eq!(found.map(|v| (v.message, v.argument)), broken, "{policy} / {password}");
        }
    }

    #[test]
    fn hashing_words_and_history_are_kept() {
        let policy = PasswordPolicy::parse(Some(
            "hashAlgorithm(pbkdf2-sha512) and hashIterations(30000) and passwordHistory(5)",
        ));
        assert_eq!(policy.hash_algorithm.as_deref(), Some("pbkdf2-sha512"));
        assert_eq!((policy.hash_iterations, policy.history()), (Some(30000), Some(5)));
        assert_eq!(policy.history_violation().argument, Some(5));
    }

    #[test]
    fn ds_15_a_configured_pattern_is_never_run() {
        let nested = format!("regexPattern({}a{}$)", "(".repeat(50_000), "+)".repeat(50_000));
        let open = "(".repeat(200_000);
        let words = format!("regexPattern((a+)+$){}", " and length(1)".repeat(5_000));
        for policy in ["regexPattern((a+)+$)", "regexPattern((a|aa)+$) and length(1)", &nested, &words] {
            let found = PasswordPolicy::parse(Some(policy)).check(&"a".repeat(5_000), ALICE).err();
            assert_eq!(found.map(|v| v.message), Some("invalidPasswordRegexPatternMessage"));
        }
        // Whatever cannot be read refuses too.
        assert!(PasswordPolicy::parse(Some(&open)).check("a", ALICE).is_err());
        assert!(PasswordPolicy::parse(Some("length(1)")).check("a", ALICE).is_ok());
    }
}
