//! PKCS#11 URIs (RFC 7512) that name one token and one key.
//!
//! Owned here: reading them, and refusing what Merlon cannot keep to. A part that is not understood is an error and is
//! not skipped: without it the URI would name something else. No message repeats a value, as one may be a PIN.

use std::borrow::Cow;

/// What a URI names. What is `None` may be anything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Uri {
    /// The token's label. Always there.
    pub(crate) token: String,
    /// The token's serial number.
    pub(crate) serial: Option<String>,
    /// The token's manufacturer.
    pub(crate) manufacturer: Option<String>,
    /// The token's model.
    pub(crate) model: Option<String>,
    /// CKA_ID of the key. It or `object` is there.
    pub(crate) id: Option<Vec<u8>>,
    /// CKA_LABEL of the key.
    pub(crate) object: Option<Vec<u8>>,
    /// Which kind of key.
    pub(crate) class: Option<Class>,
}

/// `type` of a URI, as far as it can name a key that decrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `secret-key`
    Secret,
    /// `private`, and `public` as well: of a pair both halves are needed.
    Pair,
}

impl Uri {
    /// Reads a URI. An error is a half sentence that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let path = text
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("pkcs11:"))
            .map(|(_, rest)| rest)
            .ok_or("it does not begin with pkcs11:")?;
        if let Some((_, query)) = path.split_once('?') {
            return Err(refused_query(query));
        }
        let mut uri = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for attribute in path.split(';').filter(|attribute| !attribute.is_empty()) {
            let (name, value) = attribute.split_once('=').ok_or("a part of it is not NAME=VALUE")?;
            if seen.contains(&name) {
                return Err(format!("`{}` stands in it twice", shown(name)));
            }
            seen.push(name);
            uri.set(name, value)?;
        }
        if uri.token.is_empty() {
            return Err("it does not name a token".into());
        }
        if uri.id.is_none() && uri.object.is_none() {
            return Err("it does not name a key: give its id or its object label".into());
        }
        Ok(uri)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "token" => self.token = decode_text(name, value)?,
            "serial" => self.serial = Some(decode_text(name, value)?),
            "manufacturer" => self.manufacturer = Some(decode_text(name, value)?),
            "model" => self.model = Some(decode_text(name, value)?),
            "id" => self.id = Some(decode_some(name, value)?),
            "object" => self.object = Some(decode_some(name, value)?),
            "type" => {
                self.class = Some(match value {
                    "secret-key" => Class::Secret,
                    "private" | "public" => Class::Pair,
                    _ => return Err("`type` can be secret-key or private".into()),
                });
            }
            _ => return Err(refused(name)),
        }
        Ok(())
    }

    /// The token, as messages name it.
    pub(crate) fn token_text(&self) -> String {
        let mut text = self.token.clone();
        for (name, value) in [("serial", &self.serial), ("manufacturer", &self.manufacturer), ("model", &self.model)] {
            if let Some(value) = value {
                text.push_str(&format!(" ({name} {value})"));
            }
        }
        text
    }
}

/// Nothing after `?` is taken. A PIN there is what matters most, whatever else stands beside it.
fn refused_query(query: &str) -> String {
    let mut names = query.split('&').map(|attribute| attribute.split('=').next().unwrap_or_default());
    let first = names.clone().next().unwrap_or_default();
    refused(names.find(|name| *name == "pin-value").unwrap_or(first))
}

/// What is not taken from a URI, and where it belongs.
fn refused(name: &str) -> String {
    match name {
        "pin-value" => {
            "`pin-value` puts a secret into a URI, where many can read it: change that PIN, leave it out, and \
                        set pkcs11.pin_file in the configuration"
                .into()
        }
        "pin-source" => "`pin-source` is not taken from a URI: set pkcs11.pin_file in the configuration".into(),
        "module-path" | "module-name" => {
            format!("`{name}` is not taken from a URI: set pkcs11.module in the configuration")
        }
        "slot-id" | "slot-description" | "slot-manufacturer" => {
            format!("`{name}`: slots change their places; name the token by token and serial")
        }
        "library-manufacturer" | "library-description" | "library-version" => {
            format!("`{name}`: the library is the one of pkcs11.module in the configuration")
        }
        _ => format!("`{}` is not known to Merlon", shown(name)),
    }
}

/// A name in a message: whatever was given, it is short and on one line.
fn shown(name: &str) -> Cow<'_, str> {
    if name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_graphic()) { name.into() } else { "…".into() }
}

fn decode_text(name: &str, value: &str) -> Result<String, String> {
    String::from_utf8(decode_some(name, value)?).map_err(|_| format!("`{name}` is not UTF-8"))
}

fn decode_some(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let bytes = decode(name, value)?;
    if bytes.is_empty() { Err(format!("`{name}` is empty")) } else { Ok(bytes) }
}

/// Percent-decoding; what RFC 7512, 2.3 wants encoded has to be encoded.
fn decode(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => rest
                .next()
                .zip(rest.next())
                .and_then(|(high, low)| Some(digit(high)? << 4 | digit(low)?))
                .ok_or_else(|| format!("in `{name}` two hexadecimal digits have to follow each %"))?,
            byte if byte.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=&".contains(&byte) => byte,
            byte => return Err(format!("in `{name}` the byte %{byte:02X} has to be written like this")),
        });
    }
    Ok(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_token_and_a_key() {
        let uri = Uri::parse("pkcs11:token=merlon%20lab;id=%01%fF;type=secret-key").unwrap();
        assert_eq!((uri.token.as_str(), uri.id, uri.class), ("merlon lab", Some(vec![1, 255]), Some(Class::Secret)));
        let uri =
            Uri::parse("PKCS11:serial=12;model=m;manufacturer=A:B(c);object=k%C3%A9;token=t;type=public").unwrap();
        assert_eq!(uri.token_text(), "t (serial 12) (manufacturer A:B(c)) (model m)");
        assert_eq!((uri.object, uri.class), (Some("ké".into()), Some(Class::Pair)));
        assert_eq!(Uri::parse("pkcs11:token=t;object=k").unwrap().class, None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("", "begin with pkcs11:"),
            ("pkcs1é:token=t", "begin with pkcs11:"),
            ("https://example.com/", "begin with pkcs11:"),
            ("pkcs11:", "does not name a token"),
            ("pkcs11:id=%01", "does not name a token"),
            ("pkcs11:token=t", "does not name a key"),
            ("pkcs11:token=;id=%01", "`token` is empty"),
            ("pkcs11:token=t;id", "not NAME=VALUE"),
            ("pkcs11:token=t;id=%01;id=%02", "`id` stands in it twice"),
            ("pkcs11:token=t;id=%1", "two hexadecimal digits"),
            ("pkcs11:token=t;id=%+1", "two hexadecimal digits"),
            ("pkcs11:token=a b;id=%01", "%20"),
            ("pkcs11:token=%FF;id=%01", "`token` is not UTF-8"),
            ("pkcs11:token=t;id=%01;type=cert", "secret-key or private"),
            ("pkcs11:token=t;id=%01;slot-id=3", "by token and serial"),
            ("pkcs11:token=t;id=%01;library-version=3", "pkcs11.module"),
            ("pkcs11:token=t;id=%01;x-merlon=3", "`x-merlon` is not known"),
            ("pkcs11:token=t;id=%01?module-path=/evil.so", "set pkcs11.module"),
            ("pkcs11:token=t;id=%01?pin-source=file:/pin", "set pkcs11.pin_file"),
            ("pkcs11:token=t;id=%01?x=y", "`x` is not known"),
        ] {
            let error = Uri::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_pin_in_a_uri_is_refused_and_not_repeated() {
        for text in [
            "pkcs11:token=t;id=%01?pin-value=31415",
            "pkcs11:token=t;id=%01?module-name=x&pin-value=31415",
            "pkcs11:token=t;id=%01;pin-value=31415",
        ] {
            let error = Uri::parse(text).unwrap_err();
            assert!(error.contains("change that PIN") && !error.contains("31415"), "{error}");
        }
    }
}
