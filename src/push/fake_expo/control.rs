//! The stand-in's own routes: they set it up, and show the requests.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

use super::{
    fault::Fault,
    state::{DeviceSetup, FakeExpoSettings, FakeExpoState, ProjectSetup},
};

type Shared = web::Data<Mutex<FakeExpoState>>;

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(start_page))
        .route("/control/faults", web::post().to(add_fault))
        .route("/control/faults", web::get().to(faults))
        .route("/control/faults", web::delete().to(end_faults))
        .route("/control/devices", web::get().to(devices))
        .route("/control/devices/{token}", web::get().to(device))
        .route("/control/devices/{token}", web::put().to(set_device))
        .route("/control/projects/{name:.*}", web::put().to(set_project))
        .route("/control/requests", web::get().to(requests))
        .route("/control/clock", web::post().to(advance))
        .route("/control/settings", web::put().to(set))
        .route("/control/settings", web::get().to(settings));
}

async fn start_page() -> &'static str {
    "A stand-in for Expo's push service.\n\
     Set push.base_url, or EXPO_BASE_URL for the official SDK, to this address.\n\n\
     GET    /control/devices               what people would have seen\n\
     GET    /control/requests              what was asked\n\
     POST   /control/faults                {\"kind\": \"error_after\", \"times\": 1}\n\
     DELETE /control/faults\n\
     PUT    /control/devices/{token}       {\"registered\": false}\n\
     PUT    /control/projects/{name}       {\"accessToken\": \"secret\"}\n\
     PUT    /control/settings              {\"receiptDelay\": \"1s\"}\n\
     POST   /control/clock                 {\"advance\": \"15m\"}\n"
}

async fn add_fault(fault: web::Json<Fault>, state: Shared) -> HttpResponse {
    let fault = fault.into_inner();
    state.lock().faults.push(fault.clone());
    HttpResponse::Created().json(fault)
}

async fn faults(state: Shared) -> HttpResponse {
    HttpResponse::Ok().json(&state.lock().faults)
}

async fn end_faults(state: Shared) -> HttpResponse {
    state.lock().faults.clear();
    HttpResponse::Ok().json(json!({"faults": []}))
}

async fn devices(state: Shared) -> HttpResponse {
    HttpResponse::Ok().json(state.lock().views())
}

async fn device(token: web::Path<String>, state: Shared) -> HttpResponse {
    match state.lock().view(&token) {
        Some(view) => HttpResponse::Ok().json(view),
        None => HttpResponse::NotFound().json(json!({"error": "nothing was ever sent to this device"})),
    }
}

async fn set_device(token: web::Path<String>, setup: web::Json<DeviceSetup>, state: Shared) -> HttpResponse {
    state.lock().set_device(&token, setup.into_inner());
    HttpResponse::Ok().json(state.lock().view(&token))
}

async fn set_project(name: web::Path<String>, setup: web::Json<ProjectSetup>, state: Shared) -> HttpResponse {
    state.lock().projects.insert(name.into_inner(), setup.clone());
    HttpResponse::Ok().json(setup.into_inner())
}

async fn requests(state: Shared) -> HttpResponse {
    HttpResponse::Ok().json(&state.lock().requests)
}

#[derive(Deserialize)]
struct Advance {
    #[serde(with = "humantime_serde")]
    advance: Duration,
}

async fn advance(by: web::Json<Advance>, state: Shared) -> HttpResponse {
    let mut state = state.lock();
    state.advance(by.advance);
    HttpResponse::Ok().json(json!({"nowMillis": state.now().as_millis()}))
}

async fn set(settings: web::Json<FakeExpoSettings>, state: Shared) -> HttpResponse {
    state.lock().settings = settings.into_inner();
    HttpResponse::Ok().json(&state.lock().settings)
}

async fn settings(state: Shared) -> HttpResponse {
    HttpResponse::Ok().json(&state.lock().settings)
}
