//! OpenAPI 3.1 out of the table of endpoints and the schemas of the types.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::endpoints::{Content, ENDPOINTS, Endpoint, SchemaOf};
use crate::problem::MEDIA_TYPE;
use crate::{Access, Flow, Lagged, Problem, ProblemCode};

/// The description of the whole API.
#[must_use]
pub fn openapi() -> Value {
    let mut answers = SchemaSettings::draft2020_12().for_serialize().with(settle).into_generator();
    let mut inputs = SchemaSettings::draft2020_12().for_deserialize().with(settle).into_generator();
    let problem = answers.subschema_for::<Problem>().to_value();
    answers.subschema_for::<Flow>();
    answers.subschema_for::<Lagged>();

    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in ENDPOINTS {
        let operation = operation(endpoint, &mut answers, &mut inputs, &problem);
        paths.entry(endpoint.path).or_default().insert(endpoint.method.as_str().to_lowercase(), operation);
    }
    let mut schemas = inputs.take_definitions(true);
    schemas.extend(answers.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Merlon",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The API of one instance. Over the instance's Unix socket whoever may open it is owner; over TCP every request but /health carries an access token. Errors are RFC 9457 problems.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `merlon token create`. Not needed over the Unix socket.",
                },
            },
        },
    })
}

fn settle(settings: &mut SchemaSettings) {
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
}

fn operation(
    endpoint: &Endpoint,
    answers: &mut SchemaGenerator,
    inputs: &mut SchemaGenerator,
    problem: &Value,
) -> Value {
    let mut operation = Map::new();
    let id = format!("{:?}", endpoint.operation);
    operation.insert("operationId".into(), format!("{}{}", id[..1].to_lowercase(), &id[1..]).into());
    operation.insert("summary".into(), endpoint.summary.into());
    let mut description = endpoint.description.to_owned();
    let security = if endpoint.access == Access::Public { json!([]) } else { json!([{ "token": [] }]) };
    operation.insert("security".into(), security);
    if let Access::Scope(scope) = endpoint.access {
        description = format!("{description}\n\nNeeds the scope `{scope}`.").trim().to_owned();
        operation.insert("x-scope".into(), scope.as_str().into());
    }
    if !description.is_empty() {
        operation.insert("description".into(), description.into());
    }
    let parameters = parameters(endpoint, inputs);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = endpoint.body {
        let schema = body(inputs).to_value();
        operation.insert(
            "requestBody".into(),
            json!({ "required": true, "content": { "application/json": { "schema": schema } } }),
        );
    }
    let mut responses = Map::new();
    for answer in endpoint.answers {
        let mut response = json!({ "description": answer.description });
        if let Some((media_type, media)) = media(answer.content, answers) {
            response["content"] = json!({ media_type: media });
        }
        responses.insert(answer.status.to_string(), response);
    }
    for (status, description) in problems(endpoint) {
        let content = json!({ MEDIA_TYPE: { "schema": problem } });
        responses.insert(status.to_string(), json!({ "description": description, "content": content }));
    }
    operation.insert("responses".into(), responses.into());
    operation.into()
}

fn parameters(endpoint: &Endpoint, inputs: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    if endpoint.path.contains("{id}") {
        let schema = json!({ "type": "integer", "format": "int64", "minimum": 0 });
        parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": schema }));
    }
    for (name, mut schema) in endpoint.query.map(|query| fields(query, inputs)).unwrap_or_default() {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        parameters.push(json!({ "name": name, "in": "query", "description": description, "schema": schema }));
    }
    for (name, description) in endpoint.headers {
        let schema = json!({ "type": "string" });
        parameters.push(json!({ "name": name, "in": "header", "description": description, "schema": schema }));
    }
    parameters
}

/// The fields of a type of query parameters. A parameter that is not there is left out, never null.
fn fields(query: SchemaOf, inputs: &mut SchemaGenerator) -> Map<String, Value> {
    let mut schema = query(inputs).to_value();
    let Value::Object(mut properties) = schema["properties"].take() else {
        return Map::new();
    };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        let kind = property.get("type").and_then(Value::as_array).and_then(|kinds| kinds.first()).cloned();
        property.remove("default");
        if let Some(kind) = kind {
            property.insert("type".into(), kind);
        }
    }
    properties
}

fn media(content: Content, answers: &mut SchemaGenerator) -> Option<(&'static str, Value)> {
    Some(match content {
        Content::Json(schema) => ("application/json", json!({ "schema": schema(answers).to_value() })),
        Content::JsonDocument => ("application/json", json!({ "schema": { "type": "object" } })),
        Content::Text(media_type) => (media_type, json!({ "schema": { "type": "string" } })),
        Content::Bytes => ("application/octet-stream", json!({})),
        Content::Events => ("text/event-stream", json!({ "schema": { "type": "string" } })),
        Content::Empty => return None,
    })
}

/// The problems of an endpoint by status, each with its line.
fn problems(endpoint: &Endpoint) -> BTreeMap<u16, String> {
    let mut problems: BTreeMap<u16, String> = BTreeMap::new();
    for code in endpoint.problems() {
        let line = format!("`{code}`: {}", ProblemCode::documentation(code));
        let lines = problems.entry(code.status()).or_default();
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(&line);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_description_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let checked_in: Value =
            std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        assert!(
            checked_in == openapi(),
            "docs/openapi.json is stale; refresh it with: cargo run -p merlon-api --example openapi > docs/openapi.json"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, document: &Value, seen: &mut usize) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        let pointer = reference.strip_prefix('#').expect("references stay in the document");
                        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                        *seen += 1;
                    }
                    map.values().for_each(|value| walk(value, document, seen));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, document, seen)),
                _ => {}
            }
        }
        let document = openapi();
        let mut seen = 0;
        walk(&document, &document, &mut seen);
        assert!(seen > ENDPOINTS.len(), "the problems alone refer that often");
    }

    #[test]
    fn endpoints_parameters_and_scopes_are_told() {
        let document = openapi();
        let list = &document["paths"]["/api/v1/flows"]["get"];
        let names: Vec<_> =
            list["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 4);
        assert!(["query", "before", "after", "limit"].iter().all(|name| names.contains(name)), "{names:?}");
        assert_eq!(list["x-scope"], "flows:read");
        assert_eq!(document["paths"]["/health"]["get"]["security"], json!([]));
        assert_eq!(document["components"]["schemas"]["CreateProject"]["additionalProperties"], json!(false));
        let required = document["components"]["schemas"]["Flow"]["required"].as_array().unwrap();
        assert_eq!(required.len(), 12, "a flow always has all its members: {required:?}");
        let operations: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, ENDPOINTS.len());
    }
}
