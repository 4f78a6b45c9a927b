//! Codes that let somebody in once: the claim code, which makes the first admin, and pairing codes, which admins give
//! away. Kept and compared as SHA-256 digests, in constant time; nowhere but in memory, so a restart ends them all.

use std::collections::VecDeque;

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::usage::{SubjectId, Tick};

/// A pairing code is valid this long.
pub const PAIRING_MINUTES: u64 = 60;

/// Pairing codes that are valid at once; the oldest makes room.
const MAX_PAIRINGS: usize = 32;

/// Wrong codes within [`WINDOW_MILLIS`]: of one identity, and of all. Then codes are not even looked at.
const MAX_WRONG_EACH: usize = 5;
const MAX_WRONG_ALL: usize = 30;
const WINDOW_MILLIS: u64 = 3_600_000;

/// Thirty-two letters and digits that are not taken for each other: no `I`, `L`, `O`, `U`.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Five bits a letter: the claim code is typed from a screen, the pairing code travels in a link.
const CLAIM_LETTERS: usize = 10;
const PAIRING_LETTERS: usize = 16;

/// The codes of one run of the program. Its `Debug` says how many there are.
#[derive(Default)]
pub struct Codes {
    claim: Option<[u8; 32]>,
    pairings: VecDeque<Pairing>,
    /// Who showed a wrong code and when, the latest last.
    wrong: VecDeque<(Tick, SubjectId)>,
}

#[derive(Clone, Copy)]
struct Pairing {
    digest: [u8; 32],
    made: Tick,
}

/// A code that was right, and is used up.
pub struct Spent(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Claim([u8; 32]),
    Pairing(Pairing),
}

impl Spent {
    /// Whether it makes an admin.
    pub fn is_claim(&self) -> bool {
        matches!(self.0, Kind::Claim(_))
    }
}

/// Why a code opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// It is none of ours, was used, or is too old.
    Wrong {
        /// It has the form of a pairing code.
        is_pairing: bool,
    },
    /// Too many wrong ones were shown; this one was not looked at.
    TooMany {
        /// Seconds until the next try counts.
        wait_seconds: u64,
    },
}

impl Codes {
    /// Makes the claim code, in the place of one made before. Shown once, to whoever started the program.
    pub fn make_claim(&mut self, random: [u8; 16]) -> SecretString {
        let (digest, code) = make(&random[..CLAIM_LETTERS], 5);
        self.claim = Some(digest);
        code
    }

    /// Makes a pairing code. Shown once, to the admin who asked for it.
    pub fn make_pairing(&mut self, random: [u8; 16], now: Tick) -> SecretString {
        let (digest, code) = make(&random[..PAIRING_LETTERS], 4);
        self.forget_old(now);
        if self.pairings.len() == MAX_PAIRINGS {
            self.pairings.pop_front();
        }
        self.pairings.push_back(Pairing { digest, made: now });
        code
    }

    /// Looks at a code that somebody shows, and uses it up if it is right. Case, dashes and spaces do not matter, nor
    /// does an `O` for a `0`.
    ///
    /// # Errors
    /// Why it opens nothing; a wrong one is remembered against `who`.
    pub fn spend(&mut self, code: &str, who: SubjectId, now: Tick) -> Result<Spent, NotOpened> {
        self.forget_old(now);
        if let Some(wait_seconds) = self.wait_of(who, now) {
            return Err(NotOpened::TooMany { wait_seconds });
        }
        let typed = normal(code);
        match self.matching(&digest_of(&typed)) {
            Some(kind) => {
                self.take_out(kind);
                Ok(Spent(kind))
            }
            None => {
                self.wrong.push_back((now, who));
                Err(NotOpened::Wrong { is_pairing: typed.len() == PAIRING_LETTERS })
            }
        }
    }

    /// Makes a code valid again: what it was for could not be done.
    pub fn give_back(&mut self, spent: Spent) {
        match spent.0 {
            Kind::Claim(digest) => self.claim = Some(digest),
            // The oldest makes room, and this one is among them.
            Kind::Pairing(pairing) if self.pairings.len() < MAX_PAIRINGS => self.pairings.push_front(pairing),
            Kind::Pairing(_) => {}
        }
    }

    /// The code with this digest. All are compared, whichever it is.
    fn matching(&self, digest: &[u8; 32]) -> Option<Kind> {
        let claim = self.claim.iter().map(|claim| (claim, Kind::Claim(*claim)));
        let pairings = self.pairings.iter().map(|pairing| (&pairing.digest, Kind::Pairing(*pairing)));
        let mut found = None;
        for (known, kind) in claim.chain(pairings) {
            let same: Choice = known.ct_eq(digest);
            if bool::from(same) {
                found = Some(kind);
            }
        }
        found
    }

    fn take_out(&mut self, kind: Kind) {
        match kind {
            Kind::Claim(_) => self.claim = None,
            Kind::Pairing(spent) => self.pairings.retain(|pairing| pairing.digest != spent.digest),
        }
    }

    /// Seconds until `who` may try again; `None` is now. What is old was forgotten before.
    fn wait_of(&self, who: SubjectId, now: Tick) -> Option<u64> {
        let own = self.wrong.iter().filter(|(_, by)| *by == who);
        let oldest = match (own.clone().count() >= MAX_WRONG_EACH, self.wrong.len() >= MAX_WRONG_ALL) {
            (true, _) => own.map(|(at, _)| *at).next(),
            (false, true) => self.wrong.front().map(|(at, _)| *at),
            (false, false) => None,
        }?;
        Some((WINDOW_MILLIS.saturating_sub(now.millis_since(oldest))).div_ceil(1000).max(1))
    }

    fn forget_old(&mut self, now: Tick) {
        self.wrong.retain(|(at, _)| now.millis_since(*at) < WINDOW_MILLIS);
        self.pairings.retain(|pairing| now.millis_since(pairing.made) < PAIRING_MINUTES * 60_000);
    }
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (claim, pairings) = (self.claim.is_some(), self.pairings.len());
        f.debug_struct("Codes").field("claim", &claim).field("pairings", &pairings).finish_non_exhaustive()
    }
}

/// A code of as many letters as there are random bytes: its digest, and as it is shown, with dashes between groups.
fn make(random: &[u8], group: usize) -> ([u8; 32], SecretString) {
    let letters: Vec<u8> = random.iter().map(|byte| LETTERS[usize::from(byte & 31)]).collect();
    let groups: Vec<&[u8]> = letters.chunks(group).collect();
    let shown = String::from_utf8(groups.join(&b'-')).expect("letters and digits");
    (Sha256::digest(&letters).into(), shown.into())
}

fn digest_of(letters: &str) -> [u8; 32] {
    Sha256::digest(letters.as_bytes()).into()
}

/// The letters of a code as they were made: what looks alike is what we use of it, what is no letter is left out.
fn normal(typed: &str) -> String {
    let longest = 4 * PAIRING_LETTERS;
    let letter = |c: char| match c.to_ascii_uppercase() {
        'O' => Some('0'),
        'I' | 'L' => Some('1'),
        c if c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    typed.chars().take(longest).filter_map(letter).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const MINUTE: u64 = 60_000_000;

    fn who(n: u32) -> SubjectId {
        SubjectId::of(b"key", "telegram", &n.to_string())
    }

    fn chance(n: u8) -> [u8; 16] {
        let digest: [u8; 32] = Sha256::digest([n]).into();
        std::array::from_fn(|at| digest[at])
    }

    fn opens(codes: &mut Codes, code: &str, by: u32, now: Tick) -> Result<bool, NotOpened> {
        codes.spend(code, who(by), now).map(|spent| spent.is_claim())
    }

    const WRONG_CLAIM: Result<bool, NotOpened> = Err(NotOpened::Wrong { is_pairing: false });
    const WRONG_PAIRING: Result<bool, NotOpened> = Err(NotOpened::Wrong { is_pairing: true });

    #[test]
    fn a_code_opens_once_however_it_is_typed() {
        let mut codes = Codes::default();
        let claim = codes.make_claim(chance(1));
        let claim = claim.expose_secret();
        assert_eq!(claim.len(), CLAIM_LETTERS + 1, "{claim}");
        assert!(claim.bytes().all(|letter| LETTERS.contains(&letter) || letter == b'-'), "{claim}");
        let sloppy = format!(" {} ", claim.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l"));
        assert_eq!(opens(&mut codes, &sloppy, 1, Tick(0)), Ok(true));
        assert_eq!(opens(&mut codes, claim, 2, Tick(0)), WRONG_CLAIM, "used up");

        let pairing = codes.make_pairing(chance(2), Tick(0));
        let pairing = pairing.expose_secret();
        let fits_a_link = pairing.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && pairing.len() <= 64;
        assert!(fits_a_link, "{pairing}");
        assert_eq!(opens(&mut codes, pairing, 3, Tick(0)), Ok(false));
        assert_eq!(opens(&mut codes, pairing, 4, Tick(0)), WRONG_PAIRING, "used up");
    }

    #[test]
    fn a_pairing_code_is_valid_for_an_hour_and_the_oldest_makes_room() {
        let mut codes = Codes::default();
        let late = codes.make_pairing(chance(1), Tick(0));
        assert_eq!(opens(&mut codes, late.expose_secret(), 1, Tick(60 * MINUTE)), WRONG_PAIRING);
        let made: Vec<SecretString> =
            (0..=MAX_PAIRINGS as u8).map(|n| codes.make_pairing(chance(n), Tick(1))).collect();
        assert_eq!(opens(&mut codes, made[0].expose_secret(), 1, Tick(2)), WRONG_PAIRING);
        for code in &made[1..] {
            assert_eq!(opens(&mut codes, code.expose_secret(), 1, Tick(60 * MINUTE)), Ok(false));
        }
    }

    #[test]
    fn what_could_not_be_done_gives_its_code_back() {
        let mut codes = Codes::default();
        let (claim, pairing) = (codes.make_claim(chance(1)), codes.make_pairing(chance(2), Tick(0)));
        for code in [&claim, &pairing] {
            let spent = codes.spend(code.expose_secret(), who(1), Tick(1)).expect("right");
            codes.give_back(spent);
            assert!(codes.spend(code.expose_secret(), who(1), Tick(2)).is_ok());
        }
    }

    #[test]
    fn who_guesses_waits_and_so_do_all_when_many_guess() {
        let mut codes = Codes::default();
        let claim = codes.make_claim(chance(1));
        let claim = claim.expose_secret();
        let too_many = |wait_seconds| Err(NotOpened::TooMany { wait_seconds });
        for minute in 0..5 {
            assert_eq!(opens(&mut codes, "AAAAA-AAAAA", 1, Tick(minute * MINUTE)), WRONG_CLAIM);
        }
        assert_eq!(opens(&mut codes, claim, 1, Tick(10 * MINUTE)), too_many(50 * 60), "not even looked at");
        for by in 2..27 {
            assert_eq!(opens(&mut codes, "", by, Tick(10 * MINUTE)), WRONG_CLAIM);
        }
        assert_eq!(opens(&mut codes, claim, 99, Tick(10 * MINUTE)), too_many(50 * 60));
        assert_eq!(codes.wrong.len(), MAX_WRONG_ALL, "what waits is not counted, so memory is bounded");
        assert_eq!(opens(&mut codes, "AAAAA-AAAAA", 1, Tick(60 * MINUTE)), WRONG_CLAIM, "the first is forgotten");
        assert_eq!(opens(&mut codes, claim, 1, Tick(61 * MINUTE)), Ok(true));
    }

    #[test]
    fn nothing_of_a_code_is_shown() {
        let mut codes = Codes::default();
        let claim = codes.make_claim(chance(1));
        codes.make_pairing(chance(2), Tick(0));
        assert_eq!(format!("{codes:?}"), "Codes { claim: true, pairings: 1, .. }");
        assert!(!format!("{claim:?}").contains(claim.expose_secret()));
    }
}
