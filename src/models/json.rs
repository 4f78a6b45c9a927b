//! Reading single fields of a provider's JSON without trusting their types.
//!
//! Fields are kept raw and looked into one by one, so that one odd value makes that value absent and not the frame bad.

use serde::Deserialize;
use serde_json::value::RawValue;

/// More tokens than any call can use. What claims more is a defect of the server and counts as not reported.
pub(super) const MAX_COUNT: u64 = 1 << 40;

/// A raw field. A struct of them says once, with `bound`, that all borrow from what is read.
pub(super) type Field<'a> = Option<&'a RawValue>;

/// A whole number from zero up to [`MAX_COUNT`], also as `7.0`, which is how some servers write all numbers; everything
/// else (negative, fraction, string, null) is absent.
pub(super) fn count(field: Field<'_>) -> Option<u64> {
    count_of(field?.get())
}

/// The same of a scalar as it stands.
pub(super) fn count_of(text: &str) -> Option<u64> {
    let text = whole(text);
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| all_digits && number <= MAX_COUNT)
}

/// A number without the zeros of a fraction that some languages write.
pub(super) fn whole(number: &str) -> &str {
    let is_zeros = |zeros: &str| !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0');
    number.split_once('.').filter(|(_, zeros)| is_zeros(zeros)).map_or(number, |(whole, _)| whole)
}

/// A string; everything else is absent.
pub(super) fn text(field: Field<'_>) -> Option<String> {
    serde_json::from_str(field?.get()).ok()
}

/// A string that says something.
pub(super) fn name(field: Field<'_>) -> Option<String> {
    text(field).filter(|text| !text.is_empty())
}

/// An object; everything else is absent, also a list of what its fields hold, which serde takes for a struct.
pub(super) fn object<'a, T: Deserialize<'a>>(field: Field<'a>) -> Option<T> {
    let text = field?.get();
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

/// A list whose entries `T` reads; absent when one does not fit.
pub(super) fn list<'a, T: Deserialize<'a>>(field: Field<'a>) -> Option<Vec<T>> {
    serde_json::from_str(field?.get()).ok()
}

/// The objects in a list.
pub(super) fn objects<'a, T: Deserialize<'a>>(field: Field<'a>) -> Option<Vec<T>> {
    Some(list::<&RawValue>(field)?.into_iter().filter_map(|entry| object(Some(entry))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_counts_are_absent_and_never_panic() {
        let read = |text: &str| {
            let raw: Box<RawValue> = serde_json::from_str(text).expect("valid JSON");
            count(Some(&raw))
        };
        for hostile in [
            "-1",
            "1.5",
            "2.01",
            "2.0e1",
            "-2.0",
            "\"7\"",
            "null",
            "true",
            "9223372036854775808",
            "1e3",
            "1e999",
            "[1]",
            "{}",
        ] {
            assert_eq!(read(hostile), None, "{hostile}");
        }
        assert_eq!((read("0"), read(" 7 "), read("1099511627776")), (Some(0), Some(7), Some(MAX_COUNT)));
        assert_eq!((read("2.0"), read("50.00")), (Some(2), Some(50)));
        assert_eq!(count(None), None);
    }

    #[test]
    fn a_list_is_no_object_and_its_odd_entries_are_absent() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct One {
            prompt_tokens: u64,
        }
        let raw = |text: &str| serde_json::from_str::<Box<RawValue>>(text).expect("valid JSON");
        assert_eq!(object::<One>(Some(&*raw(r#"{"prompt_tokens":5}"#))), Some(One { prompt_tokens: 5 }));
        assert_eq!(object::<One>(Some(&*raw("[5]"))), None);
        let listed = raw(r#"[[5],null,{"prompt_tokens":6}]"#);
        assert_eq!(objects::<One>(Some(&*listed)), Some(vec![One { prompt_tokens: 6 }]));
    }
}
