//! The server of the page: its files, two users for each load, the kill of the node, and a link to the node's console.
//! Only the page itself may ask for a kill.

use std::{io, net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    guard::{self, GuardContext},
    http::header,
    middleware::DefaultHeaders,
    web,
};

use super::{Stage, feed};
use crate::operator;

/// Path, media type and content of each file.
macro_rules! files {
    ($($path:literal $kind:literal $file:literal;)*) => {
        [$(($path, $kind, include_str!(concat!("page/", $file)))),*]
    };
}

const FILES: [(&str, &str, &str); 8] = files! {
    "/" "text/html; charset=utf-8" "index.html";
    "/phones.css" "text/css; charset=utf-8" "phones.css";
    "/main.js" "text/javascript; charset=utf-8" "main.js";
    "/heard.js" "text/javascript; charset=utf-8" "heard.js";
    "/phone.js" "text/javascript; charset=utf-8" "phone.js";
    "/screens.js" "text/javascript; charset=utf-8" "screens.js";
    "/story.js" "text/javascript; charset=utf-8" "story.js";
    "/wire.js" "text/javascript; charset=utf-8" "wire.js";
};

pub fn serve(listener: TcpListener, origin: &str, stage: Arc<Stage>) -> io::Result<ServerHandle> {
    let host = origin.trim_start_matches("http://").to_owned();
    let node = stage.node_url.clone();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {node} {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        node.replacen("http", "ws", 1)
    );
    let app = move || {
        let host = host.clone();
        // A page of another site must not reach this server under another host name.
        let is_here = guard::fn_guard(move |context| has_host(context, &host));
        let site = web::scope("")
            .guard(is_here)
            .route("/story", post().to(story))
            .route("/kill", post().to(kill))
            .route("/feed", web::get().to(feed::open))
            .route("/console", web::get().to(console))
            .route("/{file:.*}", web::get().to(file));
        let headers = DefaultHeaders::new()
            .add((header::CONTENT_SECURITY_POLICY, policy.clone()))
            .add((header::CACHE_CONTROL, "no-store"))
            .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .add((header::REFERRER_POLICY, "no-referrer"));
        App::new().app_data(web::Data::from(stage.clone())).wrap(headers).service(site)
    };
    let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(0).listen(listener)?.run();
    let handle = server.handle();
    drop(tokio::spawn(server));
    Ok(handle)
}

/// A page of another site cannot send this header, because this server does not allow it by CORS.
fn post() -> actix_web::Route {
    web::post().guard(guard::Header("x-demo", "yes"))
}

fn has_host(context: &GuardContext<'_>, host: &str) -> bool {
    context.head().headers().get(header::HOST).is_some_and(|named| named.as_bytes() == host.as_bytes())
}

async fn file(request: HttpRequest) -> HttpResponse {
    match FILES.iter().find(|(path, ..)| *path == request.path()) {
        Some((_, kind, content)) => HttpResponse::Ok().content_type(*kind).body(*content),
        None => HttpResponse::NotFound().finish(),
    }
}

async fn story(stage: web::Data<Stage>) -> HttpResponse {
    match stage.new_story().await {
        Ok(story) => HttpResponse::Ok().json(story),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

async fn kill(stage: web::Data<Stage>) -> HttpResponse {
    // A task of its own continues if the page is closed.
    actix_web::rt::spawn(stage.into_inner().kill_node());
    HttpResponse::Accepted().json(true)
}

/// Signs the visitor in to the node's console. A page elsewhere that leads here gains nothing by it.
async fn console(stage: web::Data<Stage>) -> HttpResponse {
    match operator::console_link(&stage.data, "demo", None).await {
        Ok(link) => HttpResponse::SeeOther().insert_header((header::LOCATION, link)).finish(),
        Err(_) => HttpResponse::ServiceUnavailable().body("The server is down. Load this page again in a moment."),
    }
}
