//! The language a chat is answered in.

use std::fmt;

use serde::{Serialize, Serializer};

use super::words::fold;

/// One of the languages the bot speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
    /// Portuguese.
    Pt,
    /// French.
    Fr,
}

impl Lang {
    /// Every language.
    pub const ALL: [Lang; 4] = [Lang::En, Lang::Es, Lang::Pt, Lang::Fr];

    /// The two-letter code.
    pub fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Es => "es",
            Lang::Pt => "pt",
            Lang::Fr => "fr",
        }
    }

    /// Reads a code, with or without a region (`pt-BR`), or a language's name in any of the four languages.
    pub fn parse(text: &str) -> Option<Lang> {
        let word = fold(text);
        let code = word.split(['-', '_']).next().unwrap_or_default();
        Lang::ALL.into_iter().find(|lang| lang.code() == code || lang.names().contains(&word.as_str()))
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Lang::En => &["english", "ingles", "anglais"],
            Lang::Es => &["spanish", "espanol", "espanhol", "espagnol", "castellano"],
            Lang::Pt => &["portuguese", "portugues", "portugais"],
            Lang::Fr => &["french", "frances", "francais"],
        }
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Lang {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_regions_and_names() {
        for (text, lang) in [
            ("ES", Some(Lang::Es)),
            ("pt-BR", Some(Lang::Pt)),
            ("fr_CA", Some(Lang::Fr)),
            ("Français", Some(Lang::Fr)),
            ("español", Some(Lang::Es)),
            ("de", None),
            ("", None),
        ] {
            assert_eq!(Lang::parse(text), lang, "{text}");
        }
    }
}
