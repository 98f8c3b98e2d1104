//! What form an answer is asked to have, in the words of each dialect.

use crate::error::Refusal;
use packllm_grammar::Form;
use serde_json::Value;

/// A form, and the field that asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedForm {
    pub field: &'static str,
    pub form: Form,
}

impl AskedForm {
    /// OpenAI's `response_format`: the schema is in `json_schema.schema`, or, as llama-server has
    /// it, in `schema` beside `json_object`.
    pub fn of_chat(format: Option<&Value>) -> Result<Option<Self>, Refusal> {
        let inside = format.map(|format| &format["json_schema"]["schema"]);
        Self::of_type("response_format", format, inside)
    }

    /// `text.format` of `/v1/responses`, which has the schema in itself.
    pub fn of_response(text: Option<&Value>) -> Result<Option<Self>, Refusal> {
        if text.is_some_and(|text| !text.is_object() && !text.is_null()) {
            return Err(Refusal::field("text", "text must be an object"));
        }
        let format = text.map(|text| &text["format"]);
        Self::of_type(
            "text.format",
            format,
            format.map(|format| &format["schema"]),
        )
    }

    /// Ollama's `format`: `"json"`, or a schema.
    pub fn of_ollama(format: Option<&Value>) -> Result<Option<Self>, Refusal> {
        let field = "format";
        let form = match format {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) if text == "json" => Form::object(),
            Some(schema @ Value::Object(_)) => Form::Json(schema.clone()),
            Some(_) => return Err(Refusal::field(field, "format must be \"json\" or a schema")),
        };
        Ok(Some(Self { field, form }))
    }

    fn of_type(
        field: &'static str,
        format: Option<&Value>,
        schema: Option<&Value>,
    ) -> Result<Option<Self>, Refusal> {
        let Some(format) = format.filter(|format| !format.is_null()) else {
            return Ok(None);
        };
        let form = match format["type"].as_str() {
            Some("text") => return Ok(None),
            Some("json_object") if format["schema"].is_object() => {
                Form::Json(format["schema"].clone())
            }
            Some("json_object") => Form::object(),
            Some("json_schema") => match schema.filter(|schema| !schema.is_null()) {
                Some(schema) => Form::Json(schema.clone()),
                None => {
                    let message = format!("{field} of type json_schema must have a schema");
                    return Err(Refusal::field(field, message));
                }
            },
            _ => {
                let why = "its type is text, json_object or json_schema";
                return Err(Refusal::not_served(field, why));
            }
        };
        Ok(Some(Self { field, form }))
    }

    /// The form is not supported, and where.
    pub fn refusal(&self, error: &dyn std::error::Error) -> Refusal {
        Refusal::field(self.field, format!("{}: {error}", self.field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_dialect_says_the_same() {
        let schema = json!({ "type": "integer" });
        let want = Some(Form::Json(schema.clone()));
        let form = |asked: Result<Option<AskedForm>, Refusal>| asked.unwrap().map(|a| a.form);
        let chat =
            json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": schema } });
        assert_eq!(form(AskedForm::of_chat(Some(&chat))), want);
        let text = json!({ "format": { "type": "json_schema", "name": "n", "schema": schema } });
        assert_eq!(form(AskedForm::of_response(Some(&text))), want);
        assert_eq!(form(AskedForm::of_ollama(Some(&schema))), want);

        let object = Some(Form::object());
        let chat = json!({ "type": "json_object" });
        assert_eq!(form(AskedForm::of_chat(Some(&chat))), object);
        assert_eq!(
            form(AskedForm::of_response(Some(&json!({ "format": chat })))),
            object
        );
        assert_eq!(form(AskedForm::of_ollama(Some(&json!("json")))), object);
    }

    #[test]
    fn text_is_no_form_and_others_are_refused() {
        for none in [json!(null), json!({ "type": "text" })] {
            assert_eq!(AskedForm::of_chat(Some(&none)), Ok(None));
            assert_eq!(
                AskedForm::of_response(Some(&json!({ "format": none }))),
                Ok(None)
            );
        }
        assert_eq!(
            AskedForm::of_response(Some(&json!({ "verbosity": "low" }))),
            Ok(None)
        );
        assert_eq!(AskedForm::of_ollama(Some(&json!(""))), Ok(None));
        for wrong in [
            json!({ "type": "xml" }),
            json!({ "type": "json_schema" }),
            json!({}),
        ] {
            assert!(AskedForm::of_chat(Some(&wrong)).is_err(), "{wrong}");
        }
        assert!(AskedForm::of_ollama(Some(&json!("xml"))).is_err());
        assert!(AskedForm::of_response(Some(&json!([null]))).is_err());
    }
}
