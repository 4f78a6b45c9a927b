//! Where a request goes: the provider its path names, and what stands behind.

use http::Uri;

/// What all paths of the gateway begin with.
pub const PREFIX: &str = "/gateway/";

/// A path of the gateway, divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The provider's configured name.
    pub(super) provider: &'a str,
    /// What stands behind it, from its slash on.
    pub(super) path: &'a str,
    /// The query, without its question mark.
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Divides the path of a request; `None` when it names no provider.
    pub(super) fn of(uri: &'a Uri) -> Option<Target<'a>> {
        let rest = uri.path().strip_prefix(PREFIX)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (provider, path) = rest.split_at(end);
        let path = if path.is_empty() { "/" } else { path };
        (!provider.is_empty()).then_some(Target { provider, path, query: uri.query() })
    }

    /// Whether the path climbs (`..`), stands still (`.`), or hides that it does: what a server makes of these is its
    /// own, and it could be a path that is metered otherwise.
    pub(super) fn is_ambiguous(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b':');
        if self.path.bytes().all(is_plain) {
            return self.path.contains("//");
        }
        let inner = self.path.trim_start_matches('/');
        let hides = self.path.contains('%') && {
            let unescaped = inner.to_ascii_lowercase().replace("%2e", ".");
            unescaped.contains("%2f") || unescaped.contains("%5c") || has_dots(&unescaped)
        };
        self.path.contains("//") || self.path.contains('\\') || has_dots(inner) || hides
    }

    /// The query without one of its parameters.
    pub(super) fn query_without(&self, name: &str) -> Option<String> {
        let kept = self.query?.split('&').filter(|pair| pair.split('=').next() != Some(name));
        let kept: Vec<&str> = kept.collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }

    /// A parameter of the query, as it stands there.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.query?.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, v)| v)
    }
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &Uri) -> Option<Target<'_>> {
        Target::of(uri)
    }

    #[test]
    fn a_path_is_divided_behind_the_providers_name() {
        let uri: Uri = "/gateway/cloud/v1/chat/completions?a=1&key=k&b".parse().expect("a URI");
        let target = target(&uri).expect("a provider");
        assert_eq!((target.provider, target.path), ("cloud", "/v1/chat/completions"));
        assert_eq!(target.query_without("key").as_deref(), Some("a=1&b"));
        assert_eq!((target.parameter("key"), target.parameter("b"), target.parameter("c")), (Some("k"), None, None));
        for (uri, path) in [("/gateway/cloud", "/"), ("/gateway/cloud/", "/")] {
            let uri: Uri = uri.parse().expect("a URI");
            assert_eq!(Target::of(&uri).map(|target| target.path), Some(path));
        }
        for uri in ["/gateway/", "/gateway//v1", "/other/cloud/v1"] {
            assert_eq!(Target::of(&uri.parse().expect("a URI")), None, "{uri}");
        }
    }

    #[test]
    fn what_a_server_may_read_otherwise_is_ambiguous() {
        let ambiguous = |path: &str| {
            let uri: Uri = format!("/gateway/cloud{path}").parse().expect("a URI");
            Target::of(&uri).expect("a provider").is_ambiguous()
        };
        for path in ["/v1/../admin", "/v1/./chat", "/v1/%2e%2E/x", "/v1//chat", "/v1/a%2fb", "/v1/a%5Cb", "/.."] {
            assert!(ambiguous(path), "{path}");
        }
        for path in
            ["", "/", "/v1/chat/completions", "/v1/files/", "/v1beta/models/gemini-2.5:generateContent", "/v1/a..b"]
        {
            assert!(!ambiguous(path), "{path}");
        }
    }
}
