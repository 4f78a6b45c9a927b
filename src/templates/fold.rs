//! Words as they are compared: case, accents and the kind of apostrophe do not matter.

/// Lower case, without accents, with one kind of apostrophe. Covers what en, es, pt and fr write, composed or not.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            '\u{300}'..='\u{36f}' => {}
            'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' => folded.push('a'),
            'é' | 'è' | 'ê' | 'ë' => folded.push('e'),
            'í' | 'ì' | 'î' | 'ï' => folded.push('i'),
            'ó' | 'ò' | 'ô' | 'õ' | 'ö' => folded.push('o'),
            'ú' | 'ù' | 'û' | 'ü' => folded.push('u'),
            'ý' | 'ÿ' => folded.push('y'),
            'ñ' => folded.push('n'),
            'ç' => folded.push('c'),
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            '’' | '‘' | 'ʼ' | '´' | '`' => folded.push('\''),
            _ => folded.push(c),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_apostrophes_do_not_matter() {
        for (typed, folded) in [
            ("ESTADÍSTICAS", "estadisticas"),
            ("mo\u{301}dele", "modele"),
            ("Français", "francais"),
            ("aujourd’hui", "aujourd'hui"),
            ("Mês", "mes"),
            ("España", "espana"),
        ] {
            assert_eq!(fold(typed), folded);
        }
    }
}
