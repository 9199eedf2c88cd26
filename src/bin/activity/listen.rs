//! Where a service listens.

use std::{net::IpAddr, net::SocketAddr, str::FromStr};

use serde::Deserialize;

/// An address, with a port or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let bare = if bare.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { bare };
        match bare.parse() {
            Ok(ip) => Ok(Self { ip, port: None }),
            Err(_) => Err(format!(
                "`{}` is no address: write it as in 127.0.0.1, 0.0.0.0:8080 or [::]",
                text.escape_debug()
            )),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_port() {
        for (text, ip, port) in [
            ("127.0.0.1", "127.0.0.1", None),
            ("localhost", "127.0.0.1", None),
            ("0.0.0.0:8080", "0.0.0.0", Some(8080)),
            ("::", "::", None),
            ("[::]", "::", None),
            ("[::1]:3000", "::1", Some(3000)),
        ] {
            let expected = Listen { ip: ip.parse().unwrap(), port };
            assert_eq!(text.parse::<Listen>(), Ok(expected), "{text}");
        }
        for text in ["", "example.com", "127.0.0.1:", "127.0.0.1:70000", "[::", ":3000"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
