//! The derived reference: by what an entry that bears none can be asked about (docs/PROTOCOL.md section 4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Digest;

/// The derived reference of a rule: 43 characters, where one that an entry bears has at most 32. It is a name and no secret: who
/// guesses the rule can make it.
pub fn derived_reference(rule: &str) -> String {
    URL_SAFE_NO_PAD.encode(Digest::of(rule).0)
}

/// The digest of the rule that a derived reference names; none if it is not one.
pub fn read_derived_reference(text: &str) -> Option<Digest> {
    let bytes = (text.len() == 43).then(|| URL_SAFE_NO_PAD.decode(text).ok())??;
    Some(Digest(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_digest_of_the_rule() {
        let text = derived_reference("domain:bad.example");
        assert_eq!(read_derived_reference(&text), Some(Digest::of("domain:bad.example")));
        for wrong in ["", &text[1..], &format!("{text}A"), &"=".repeat(43), "k3Jx0aZqPm2vT7yWb9cD1e"] {
            assert_eq!(read_derived_reference(wrong), None, "{wrong}");
        }
    }
}
