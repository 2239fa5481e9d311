//! Credentials of a request or a connection: a key or a token, in a header or in the query.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::protocol::ErrorInfo;

#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Key { name: String, secret: String },
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Key { name, .. } => write!(f, "Key({name})"),
            Credentials::Token(_) => f.write_str("Token"),
        }
    }
}

impl Credentials {
    /// # Errors
    /// 40101 if credentials are missing or malformed.
    pub fn find(authorization: Option<&str>, query: &[(String, String)]) -> Result<Self, ErrorInfo> {
        if let Some(header) = authorization {
            return Self::from_header(header);
        }
        let parameter = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        if let Some(token) =
            parameter("access_token").or_else(|| parameter("accessToken")).filter(|token| !token.is_empty())
        {
            return Ok(Credentials::Token(token.to_owned()));
        }
        match parameter("key") {
            Some(key) => Self::from_key(key),
            None => Err(ErrorInfo::invalid_credentials("credentials are needed: a key or a token")),
        }
    }

    pub fn from_header(header: &str) -> Result<Self, ErrorInfo> {
        let malformed = || ErrorInfo::invalid_credentials("the Authorization header must be Basic or Bearer");
        let (scheme, value) = header.trim().split_once(' ').ok_or_else(malformed)?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            return Self::from_key(&decoded(value).ok_or_else(malformed)?);
        }
        if !scheme.eq_ignore_ascii_case("bearer") || value.is_empty() {
            return Err(malformed());
        }
        // Every token contains a dot, and base64 never does.
        let token =
            if value.contains('.') { value.to_owned() } else { decoded(value).unwrap_or_else(|| value.to_owned()) };
        Ok(Credentials::Token(token))
    }

    fn from_key(key: &str) -> Result<Self, ErrorInfo> {
        match key.split_once(':') {
            Some((name, secret)) if !name.is_empty() && !secret.is_empty() => {
                Ok(Credentials::Key { name: name.to_owned(), secret: secret.to_owned() })
            }
            _ => Err(ErrorInfo::invalid_credentials("a key must be written as name:secret")),
        }
    }
}

fn decoded(base64: &str) -> Option<String> {
    STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_in_headers_and_queries() {
        let key = Credentials::Key { name: "a.b".into(), secret: "c".into() };
        let token = Credentials::Token("a.token".into());
        let query = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(Credentials::find(Some(&format!("Basic {}", STANDARD.encode("a.b:c"))), &[]), Ok(key.clone()));
        assert_eq!(Credentials::find(Some("Bearer a.token"), &[]), Ok(token.clone()));
        assert_eq!(Credentials::find(Some(&format!("bearer {}", STANDARD.encode("a.token"))), &[]), Ok(token.clone()));
        assert_eq!(Credentials::find(None, &query("key", "a.b:c")), Ok(key));
        assert_eq!(Credentials::find(None, &query("access_token", "a.token")), Ok(token));
        assert_eq!(Credentials::find(None, &[]).unwrap_err().code, 40101);
        assert_eq!(Credentials::find(Some("Basic !"), &[]).unwrap_err().code, 40101);
    }
}
