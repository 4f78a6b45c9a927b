//! Words as people type them: without case and accents, and with a typing mistake or two.

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

/// The number of single-letter changes and swaps of neighbours between two short words; `None` above `most`.
pub fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let (mut before, mut above): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|found| *found <= most)
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

    #[test]
    fn the_distance_counts_changes_and_swaps() {
        assert_eq!(distance("stats", "stats", 2), Some(0));
        assert_eq!(distance("satts", "stats", 2), Some(1));
        assert_eq!(distance("stat", "stats", 2), Some(1));
        assert_eq!(distance("hlep", "help", 2), Some(1));
        assert_eq!(distance("model", "help", 2), None);
    }
}
