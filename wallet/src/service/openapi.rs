//! Owns the document that describes the service to machines. Knows nothing of how it is served.
//! Invariant: it is made from the list that the router is made from.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, InfoBuilder, ObjectBuilder, OneOfBuilder, OpenApi, OpenApiBuilder, Paths,
    Ref, RefOr, Required, Schema,
};

use super::caller::Role;
use super::error::{ApiError, ErrorCode};
use super::extract::NoQuery;
use super::keys::HEADER;
use super::routes::{Route, all};
use super::state::ServiceOptions;
use crate::wire::ErrorBody;

const JSON: &str = "application/json";
const BEARER: &str = "bearer";

/// The document as text.
static TEXT: OnceLock<String> = OnceLock::new();

/// The document itself.
pub(super) async fn serve(_: NoQuery) -> Result<Response, ApiError> {
    let text = match TEXT.get() {
        Some(text) => text,
        None => {
            let text = document().to_json().map_err(|_| ErrorCode::InternalError)?;
            TEXT.get_or_init(|| text)
        }
    };
    Ok(([(header::CONTENT_TYPE, JSON)], text.as_str()).into_response())
}

/// A body: its own schema and all that it refers to.
pub(super) struct Described {
    schema: RefOr<Schema>,
    refers_to: Vec<(String, RefOr<Schema>)>,
}

pub(super) fn described<T: ToSchema>() -> Described {
    let mut refers_to = Vec::new();
    T::schemas(&mut refers_to);
    let name = name_of::<T>();
    if name.contains('_') {
        // Made of others: it has no name that would say what it is.
        return Described { schema: T::schema(), refers_to };
    }
    refers_to.push((name.clone(), T::schema()));
    Described { schema: Ref::from_schema_name(name).into(), refers_to }
}

/// The answer to a batch: for each item its own answer, or a refusal.
pub(super) fn described_results<T: ToSchema>() -> Described {
    let Described { schema: done, refers_to } = described::<T>();
    let text = || Object::with_type(Type::String);
    let refused = ObjectBuilder::new().property("error", text()).property("code", text());
    let refused = Schema::Object(refused.required("error").required("code").build());
    let item = one_of(&[&done, &refused.into()]);
    let results = ObjectBuilder::new().property("results", item.to_array_builder());
    Described { schema: results.required("results").into(), refers_to }
}

/// The name of a type; those that are made of others have a `_`.
fn name_of<T>() -> String {
    let parts = std::any::type_name::<T>().split(['<', '>']).filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(|part| part.rsplit("::").next().unwrap_or(part)).collect();
    parts.join("_")
}

/// The OpenAPI document of the service.
#[must_use]
pub fn document() -> OpenApi {
    let mut paths = Paths::new();
    let error = described::<ErrorBody>();
    let mut components = Components::new();
    components.add_security_scheme(BEARER, bearer());
    let mut schemas = error.refers_to.clone();
    for route in all(&ServiceOptions::default()) {
        let answers = route.answers.iter().map(|(_, answer)| answer);
        for body in answers.chain(&route.body) {
            schemas.extend(body.refers_to.iter().cloned());
        }
        let operation = operation(&route, &error.schema);
        paths.add_path_operation(&route.path, vec![route.method], operation);
    }
    components.schemas.extend(schemas);
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Matchring wallet").version("1").build())
        .paths(paths)
        .components(Some(components))
        .build()
}

fn bearer() -> SecurityScheme {
    SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build())
}

fn operation(route: &Route, error: &RefOr<Schema>) -> OperationBuilder {
    let mut operation =
        OperationBuilder::new().summary(Some(route.summary)).description(Some(route.role.text()));
    for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')) {
        let name = name.trim_end_matches('}');
        operation = operation.parameter(parameter(name, None));
    }
    for (name, what) in &route.parameters {
        operation = operation.parameter(parameter(name, Some(what)));
    }
    if let Some(body) = &route.body {
        let content = Content::new(Some(body.schema.clone()));
        let body = RequestBodyBuilder::new().content(JSON, content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    let mut answers = BTreeMap::<u16, Vec<&RefOr<Schema>>>::new();
    for (status, answer) in &route.answers {
        answers.entry(*status).or_default().push(&answer.schema);
    }
    for (status, schemas) in answers {
        let schema = match schemas[..] {
            [one] => one.clone(),
            _ => Schema::from(one_of(&schemas)).into(),
        };
        operation = operation.response(status.to_string(), response("What it came to", &schema));
    }
    if route.role != Role::Anyone {
        operation = operation.security(SecurityRequirement::new(BEARER, Vec::<String>::new()));
    }
    operation.response("default", response("A refusal; its code says why", error))
}

fn one_of(schemas: &[&RefOr<Schema>]) -> OneOfBuilder {
    schemas.iter().fold(OneOfBuilder::new(), |one_of, schema| one_of.item((*schema).clone()))
}

/// A place in the path, or, if it is described, the key's header or a parameter of the query.
fn parameter(name: &str, described: Option<&str>) -> ParameterBuilder {
    let text = Object::with_type(Type::String);
    let parameter = ParameterBuilder::new().name(name).schema(Some(text));
    match described {
        Some(what) if name == HEADER => {
            parameter.parameter_in(ParameterIn::Header).description(Some(what))
        }
        Some(what) => parameter.parameter_in(ParameterIn::Query).description(Some(what)),
        None => parameter.parameter_in(ParameterIn::Path).required(Required::True),
    }
}

fn response(description: &str, schema: &RefOr<Schema>) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content(JSON, Content::new(Some(schema.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{BatchBody, ReserveBody};

    #[test]
    fn names_are_those_of_the_types() {
        assert_eq!(name_of::<ReserveBody>(), "ReserveBody");
        assert_eq!(name_of::<BatchBody<ReserveBody>>(), "BatchBody_ReserveBody");
    }
}
