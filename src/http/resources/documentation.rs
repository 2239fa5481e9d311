use actix_web::{HttpResponse, http::StatusCode};

use crate::http::{envelope, openapi};

/// This description
#[utoipa::path(
    get, path = "/openapi.json", tag = "node", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub async fn openapi() -> HttpResponse {
    envelope::json(StatusCode::OK, openapi::json())
}
