//! What a user may be called where names must not be mistaken for one another (EN-15, RFC 8265 §3.3, Unicode UTS 39 §5).
//!
//! **Owns** the rule for one name. **Does not own** where it holds (strict realms: [`crate::realm_file`]), whether a name is
//! taken, nor how a login name is spelled ([`crate::login::brute_force::canonical`]).
//! **Flow** [`check`] -> each side of an `@` by itself -> the scripts of its letters.

use std::fmt;

use unicode_normalization::char::is_combining_mark;

use crate::login::brute_force::canonical;

/// Why a name can be mistaken for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Another spelling is its canonical one: capitals, wide or ligature forms, letters with loose accents.
    Spelling,
    /// A character that is not seen, imitates another, or is of no script in daily use.
    Character(char),
    /// Letters of two scripts.
    Mixed(Script, Script),
    /// Only letters that look like Latin ones, of another script.
    LooksLatin(Script),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spelling => f.write_str("is not in its canonical spelling (NFKC, lower case)"),
            Self::Character(c) => write!(f, "holds U+{:04X}, which may be overlooked or mistaken", u32::from(*c)),
            Self::Mixed(one, other) => write!(f, "mixes letters of {one:?} and {other:?}, some of which look alike"),
            Self::LooksLatin(script) => write!(f, "is written in {script:?} letters that all look like Latin ones"),
        }
    }
}

/// Scripts in daily use (Unicode UAX 31, table 5); those that are written together are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "Unicode's names")]
pub enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Thaana,
    Devanagari,
    Bengali,
    Gurmukhi,
    Gujarati,
    Oriya,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Sinhala,
    Thai,
    Lao,
    Tibetan,
    Myanmar,
    Georgian,
    Ethiopic,
    Khmer,
    /// Han, Hiragana, Katakana, Bopomofo, Hangul: also beside Latin (UTS 39, highly restrictive).
    EastAsian,
}

/// Blocks of the scripts, first to last. Left out: what is not seen (U+034F, U+17B4), what stretches (U+0640), Latin letters
/// that are other signs (U+01C0 to U+01C3) or twins of a and g (U+0251, U+0261).
const BLOCKS: [(u32, u32, Script); 44] = [
    (0x41, 0x5A, Script::Latin),
    (0x61, 0x7A, Script::Latin),
    (0xC0, 0xD6, Script::Latin),
    (0xD8, 0xF6, Script::Latin),
    (0xF8, 0x1BF, Script::Latin),
    (0x1C4, 0x24F, Script::Latin),
    (0x253, 0x260, Script::Latin),
    (0x262, 0x2AF, Script::Latin),
    (0x370, 0x3FF, Script::Greek),
    (0x400, 0x52F, Script::Cyrillic),
    (0x531, 0x58F, Script::Armenian),
    (0x591, 0x5F4, Script::Hebrew),
    (0x610, 0x63F, Script::Arabic),
    (0x641, 0x6FF, Script::Arabic),
    (0x750, 0x77F, Script::Arabic),
    (0x780, 0x7BF, Script::Thaana),
    (0x8A0, 0x8FF, Script::Arabic),
    (0x900, 0x97F, Script::Devanagari),
    (0x980, 0x9FF, Script::Bengali),
    (0xA00, 0xA7F, Script::Gurmukhi),
    (0xA80, 0xAFF, Script::Gujarati),
    (0xB00, 0xB7F, Script::Oriya),
    (0xB80, 0xBFF, Script::Tamil),
    (0xC00, 0xC7F, Script::Telugu),
    (0xC80, 0xCFF, Script::Kannada),
    (0xD00, 0xD7F, Script::Malayalam),
    (0xD80, 0xDFF, Script::Sinhala),
    (0xE00, 0xE7F, Script::Thai),
    (0xE80, 0xEFF, Script::Lao),
    (0xF00, 0xFFF, Script::Tibetan),
    (0x1000, 0x109F, Script::Myanmar),
    (0x10A0, 0x10FF, Script::Georgian),
    (0x1200, 0x139F, Script::Ethiopic),
    (0x1780, 0x17B3, Script::Khmer),
    (0x17B6, 0x17E9, Script::Khmer),
    (0x1E00, 0x1EFF, Script::Latin),
    (0x1F00, 0x1FFF, Script::Greek),
    (0x3005, 0x3007, Script::EastAsian),
    (0x3041, 0x30FF, Script::EastAsian),
    (0x3105, 0x312F, Script::EastAsian),
    (0x3400, 0x4DBF, Script::EastAsian),
    (0x4E00, 0x9FFF, Script::EastAsian),
    (0xAC00, 0xD7A3, Script::EastAsian),
    (0x20000, 0x323AF, Script::EastAsian),
];

/// Lower-case letters that a reader takes for Latin ones.
const LOOK_LATIN: [(Script, &str); 3] =
    [(Script::Cyrillic, "асԁеԍһіјӏорԛѕԝхуѵѡ"), (Script::Greek, "αγηικνορτυχω"), (Script::Armenian, "ագզլհյոսցւքօ")];

/// Whether a name (or an e-mail) in lower case can be told from every other by its looks.
///
/// # Errors
/// [`Fault`] says what makes it doubtful.
pub fn check(name: &str) -> Result<(), Fault> {
    // What is allowed in ASCII is not judged here, but controls are never seen.
    if name.is_ascii() && !name.contains(|c: char| c.is_ascii_control() || c.is_ascii_uppercase()) {
        return Ok(());
    }
    name.split('@').try_for_each(part)?;
    if canonical(name) == name { Ok(()) } else { Err(Fault::Spelling) }
}

fn part(text: &str) -> Result<(), Fault> {
    let mut seen: Option<Script> = None;
    let mut looks_latin = true;
    let mut before = ' ';
    for c in text.chars() {
        let script = script(c, before)?;
        before = c;
        let Some(script) = script else { continue };
        let alike = LOOK_LATIN.iter().any(|(of, letters)| *of == script && letters.contains(c));
        looks_latin = looks_latin && alike;
        seen = match seen {
            Some(first) => Some(together(first, script).ok_or(Fault::Mixed(first, script))?),
            None => Some(script),
        };
    }
    match seen {
        Some(script) if looks_latin => Err(Fault::LooksLatin(script)),
        Some(_) | None => Ok(()),
    }
}

/// What a name of letters of both is; `None` when they do not go together.
fn together(one: Script, other: Script) -> Option<Script> {
    match (one, other) {
        (Script::EastAsian, Script::Latin) | (Script::Latin, Script::EastAsian) => Some(Script::EastAsian),
        _ => (one == other).then_some(one),
    }
}

/// The script of a character; `None` for what goes with every script.
fn script(c: char, before: char) -> Result<Option<Script>, Fault> {
    let mark = is_combining_mark(c);
    if c.is_ascii() && !c.is_ascii_alphabetic() && !c.is_ascii_control() {
        return Ok(None);
    }
    if !c.is_alphanumeric() && !mark {
        return Err(Fault::Character(c));
    }
    if mark && !before.is_alphanumeric() && !is_combining_mark(before) {
        return Err(Fault::Character(c));
    }
    let code = u32::from(c);
    if matches!(code, 0x300..=0x34E | 0x350..=0x36F) {
        return Ok(None);
    }
    let found = BLOCKS.iter().find(|(first, last, _)| (*first..=*last).contains(&code));
    found.map(|(_, _, script)| Some(*script)).ok_or(Fault::Character(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn en_15_names_that_look_like_others_are_doubtful() {
        use Script::{Armenian, Cyrillic, EastAsian, Greek, Latin};
        for (name, fault) in [
            ("\u{430}dmin", Fault::Mixed(Cyrillic, Latin)),
            ("adm\u{456}n", Fault::Mixed(Latin, Cyrillic)),
            ("admin@ex\u{430}mple.com", Fault::Mixed(Latin, Cyrillic)),
            ("r\u{3bf}\u{3bf}t", Fault::Mixed(Latin, Greek)),
            ("\u{43f}ользователь\u{3b1}", Fault::Mixed(Cyrillic, Greek)),
            ("\u{645}dmin", Fault::Mixed(Script::Arabic, Latin)),
            ("山\u{43e}", Fault::Mixed(EastAsian, Cyrillic)),
            ("\u{430}\u{440}\u{435}", Fault::LooksLatin(Cyrillic)),
            ("\u{441}\u{43e}\u{440}\u{443}-1", Fault::LooksLatin(Cyrillic)),
            ("\u{3bd}\u{3b1}\u{3bd}", Fault::LooksLatin(Greek)),
            ("\u{578}\u{585}\u{578}", Fault::LooksLatin(Armenian)),
            ("\u{430}\u{440}\u{435}@example.com", Fault::LooksLatin(Cyrillic)),
            ("admin\u{200b}", Fault::Character('\u{200b}')),
            ("admin\u{ad}", Fault::Character('\u{ad}')),
            ("\u{202e}nimda", Fault::Character('\u{202e}')),
            ("admin\u{fe0f}", Fault::Character('\u{fe0f}')),
            ("admin\u{34f}", Fault::Character('\u{34f}')),
            ("admin\u{1160}", Fault::Character('\u{1160}')),
            ("\u{251}dmin", Fault::Character('\u{251}')),
            ("\u{301}a", Fault::Character('\u{301}')),
            ("o\u{2019}brien", Fault::Character('\u{2019}')),
            ("ad\u{7}min", Fault::Character('\u{7}')),
            ("\u{1d41a}dmin", Fault::Character('\u{1d41a}')),
            ("\u{ff41}dmin", Fault::Character('\u{ff41}')),
            ("e\u{301}va", Fault::Spelling),
            ("Admin", Fault::Spelling),
            (" \u{e9}", Fault::Spelling),
        ] {
            assert_eq!(check(name), Err(fault), "{name:?}");
            assert!(!fault.to_string().contains(char::is_control), "{fault}");
        }
    }

    #[test]
    fn en_15_honest_names_of_every_script_are_kept() {
        for name in [
            "admin",
            "o'brien+test_1@example.com",
            "josé",
            "müller",
            "ışık",
            "łukasz",
            "nguyễn",
            "ẹ\u{301}kọ",
            "иван",
            "иван@example.com",
            "ольга-2",
            "νίκος",
            "אברהם",
            "محمد",
            "सचिन्",
            "สมชาย",
            "გიორგი",
            "山田太郎",
            "やまだtaro",
            "김철수",
            "",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn en_15_no_foreign_letter_hides_in_a_latin_name(
            name in "[a-z]{1,8}", at in 0_usize..8, foreign in "[\u{370}-\u{52f}\u{200b}-\u{200f}\u{1d400}-\u{1d7ff}]"
        ) {
            let at = at.min(name.len());
            let twin = format!("{}{foreign}{}", &name[..at], &name[at..]);
            prop_assert!(check(&twin).is_err(), "{:?}", twin);
            prop_assert_eq!(check(&name), Ok(()));
        }
    }
}
