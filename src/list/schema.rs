//! How the texts and numbers of this module are described where the API is (JSON Schema). The forms are those that their
//! `FromStr` takes.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{Code, Date, Digest, ListId, Origin, Serial, Timestamp};

macro_rules! texts {
    ($($name:ident: $pattern:literal, $example:literal, $about:literal;)*) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let object = ObjectBuilder::new().schema_type(Type::String).pattern(Some($pattern)).examples([$example]);
                    Schema::Object(object.description(Some($about)).build()).into()
                }
            }

            impl ToSchema for $name {}
        )*
    };
}

texts! {
    Code: "^[a-z0-9][a-z0-9._-]{0,31}$", "gambling", "A category or reason code.";
    Date: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2027-01-31", "A day, UTC.";
    Digest: "^sha256:[0-9a-f]{64}$", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "A SHA-256 digest.";
    ListId: "^[a-z0-9][a-z0-9-]{0,62}$", "adult", "The name of a list.";
    Origin: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", "lists.example.org", "The name of a publisher.";
    Timestamp: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", "2027-01-31T12:00:00Z", "A second, UTC.";
}

impl PartialSchema for Serial {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).examples([1041]);
        Schema::Object(object.description(Some("The number of a version; +1 each.")).build()).into()
    }
}

impl ToSchema for Serial {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_as_an_example_is_read() {
        let example = |schema: RefOr<Schema>| serde_json::to_value(schema).expect("JSON")["examples"][0].clone();
        let text = |schema| example(schema).as_str().expect("a text").to_owned();
        assert!(text(Code::schema()).parse::<Code>().is_ok());
        assert!(text(Date::schema()).parse::<Date>().is_ok());
        assert!(text(Digest::schema()).parse::<Digest>().is_ok());
        assert!(text(ListId::schema()).parse::<ListId>().is_ok());
        assert!(text(Origin::schema()).parse::<Origin>().is_ok());
        assert!(text(Timestamp::schema()).parse::<Timestamp>().is_ok());
    }
}
