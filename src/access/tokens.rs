//! Bearer tokens of the REST door. Kept and compared as SHA-256 digests, in constant time.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Whatever only reads.
    Read,
    /// Whatever changes something, and whatever reads.
    Admin,
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no usable `Authorization` header.
    #[error("a token is needed; expected a header such as `Authorization: Bearer <token>`")]
    NoToken,
    /// The token is none of ours.
    #[error("the token is not known")]
    UnknownToken,
    /// The token reads, and more is asked for.
    #[error("the token may only read; expected the admin token")]
    ReadOnly,
}

impl Denied {
    /// The HTTP status of this answer.
    pub fn http_status(self) -> u16 {
        match self {
            Denied::NoToken | Denied::UnknownToken => 401,
            Denied::ReadOnly => 403,
        }
    }

    /// Whether this counts as a failed attempt to guess a token.
    pub fn is_guess(self) -> bool {
        self == Denied::UnknownToken
    }
}

/// The tokens of one installation. A door without a token of its own is open: the configuration allows that on
/// loopback only.
#[derive(Clone, Default)]
pub struct Tokens {
    read: Option<[u8; 32]>,
    admin: Option<[u8; 32]>,
}

impl Tokens {
    /// The tokens that open reading and changing.
    pub fn new(read: Option<&SecretString>, admin: Option<&SecretString>) -> Tokens {
        let digest = |token: &SecretString| Sha256::digest(token.expose_secret().as_bytes()).into();
        Tokens { read: read.map(digest), admin: admin.map(digest) }
    }

    /// Whether a request with this `Authorization` header may do what `needed` stands for.
    ///
    /// Without an admin token, changing needs what reading needs; without a read token, reading is open.
    ///
    /// # Errors
    /// Why not; the token itself is never part of it.
    pub fn check(&self, needed: Role, authorization: Option<&str>) -> Result<(), Denied> {
        let is_open = match needed {
            Role::Read => self.read.is_none(),
            Role::Admin => self.admin.is_none() && self.read.is_none(),
        };
        if is_open {
            return Ok(());
        }
        let token = authorization.and_then(bearer).ok_or(Denied::NoToken)?;
        let (reads, administers) = self.matches(token);
        match needed {
            _ if administers => Ok(()),
            Role::Read if reads => Ok(()),
            Role::Admin if reads && self.admin.is_none() => Ok(()),
            Role::Admin if reads => Err(Denied::ReadOnly),
            _ => Err(Denied::UnknownToken),
        }
    }

    /// Whether a text is one of the tokens: then it is nothing to hand on.
    pub fn knows(&self, text: &str) -> bool {
        if self.read.is_none() && self.admin.is_none() {
            return false;
        }
        let (reads, administers) = self.matches(text);
        reads || administers
    }

    /// Whether the token is the read token and whether it is the admin token; both are always compared.
    fn matches(&self, token: &str) -> (bool, bool) {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let is = |known: &Option<[u8; 32]>| {
            let present = Choice::from(u8::from(known.is_some()));
            bool::from(known.unwrap_or([0; 32]).ct_eq(&given) & present)
        };
        (is(&self.read), is(&self.admin))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("read", &self.read.is_some()).field("admin", &self.admin.is_some()).finish()
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter.
pub fn bearer(header: &str) -> Option<&str> {
    const SCHEME: &str = "bearer";
    let (scheme, rest) = header.trim().split_at_checked(SCHEME.len())?;
    let token = rest.strip_prefix(' ')?.trim_start();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = "read-0123456789-0123456789-0123456789";
    const ADMIN: &str = "admin-0123456789-0123456789-0123456789";

    fn tokens(read: Option<&str>, admin: Option<&str>) -> Tokens {
        let (read, admin) = (read.map(SecretString::from), admin.map(SecretString::from));
        Tokens::new(read.as_ref(), admin.as_ref())
    }

    #[test]
    fn each_role_opens_its_doors_and_no_other() {
        let both = tokens(Some(READ), Some(ADMIN));
        let header = |token: &str| format!("Bearer {token}");
        let check = |needed, header: Option<String>| both.check(needed, header.as_deref());
        assert_eq!(check(Role::Read, Some(header(READ))), Ok(()));
        assert_eq!(check(Role::Read, Some(header(ADMIN))), Ok(()));
        assert_eq!(check(Role::Admin, Some(header(ADMIN))), Ok(()));
        assert_eq!(check(Role::Admin, Some(header(READ))), Err(Denied::ReadOnly));
        for needed in [Role::Read, Role::Admin] {
            assert_eq!(check(needed, None), Err(Denied::NoToken));
            assert_eq!(check(needed, Some("Basic abc".to_owned())), Err(Denied::NoToken));
            assert_eq!(check(needed, Some("Bearer ".to_owned())), Err(Denied::NoToken));
            assert_eq!(check(needed, Some(header("' OR '1'='1"))), Err(Denied::UnknownToken));
            assert_eq!(check(needed, Some(header(&READ[1..]))), Err(Denied::UnknownToken));
        }
        assert_eq!(both.check(Role::Read, Some(&format!("bearer   {READ}"))), Ok(()));
    }

    #[test]
    fn a_door_without_a_token_is_open_and_an_admin_token_alone_still_guards_changes() {
        assert_eq!(tokens(None, None).check(Role::Admin, None), Ok(()));
        let admin_only = tokens(None, Some(ADMIN));
        assert_eq!(admin_only.check(Role::Read, None), Ok(()));
        assert_eq!(admin_only.check(Role::Admin, None), Err(Denied::NoToken));
        let read_only = tokens(Some(READ), None);
        assert_eq!(read_only.check(Role::Admin, None), Err(Denied::NoToken));
        assert_eq!(read_only.check(Role::Admin, Some(&format!("Bearer {READ}"))), Ok(()));
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let shown = format!("{:?} {}", tokens(Some(READ), None), Denied::UnknownToken);
        assert_eq!(shown, "Tokens { read: true, admin: false } the token is not known");
    }
}
