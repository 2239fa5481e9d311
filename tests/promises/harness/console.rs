//! The operator's pages, as a browser without scripts sees them.

use reqwest::Method;

use super::{answer::Answer, partner::Request, process::run, server::Server, wait::DEADLINE};

/// A browser that is signed in.
pub struct Console {
    origin: String,
    pub cookie: String,
}

/// What an open page hears.
pub struct Live {
    response: reqwest::Response,
    heard: String,
}

impl Console {
    /// A link that signs in, as the command line prints it.
    pub async fn link(server: &Server) -> String {
        let data = server.data().to_str().expect("a path").to_owned();
        let printed = run(&["console", "--name", "kim", "--data", &data], &[]).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        printed.stdout.trim().to_owned()
    }

    pub async fn sign_in(server: &Server) -> Self {
        let link = Self::link(server).await;
        let entered = server.get(link.trim_start_matches(&server.origin)).send().await;
        let cookie = entered.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        Self::with(server, &cookie)
    }

    pub fn with(server: &Server, cookie: &str) -> Self {
        Self { origin: server.origin.clone(), cookie: cookie.to_owned() }
    }

    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, &self.origin, path).header("cookie", &self.cookie)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// A session's page.
    pub async fn session(&self, session: &str) -> String {
        let page = self.get(&format!("/console/session?id={session}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.body
    }

    /// A form's fields as they are.
    pub async fn post(&self, path: &str, fields: &str) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        request.body(fields.to_owned()).send().await
    }

    /// A form of the console, with its key.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get("/console").await.body;
        let (_, behind) = page.split_once("name=\"key\" value=\"").expect("the page's own form has a key");
        let (key, _) = behind.split_once('"').expect("the end of a value");
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("key", key).extend_pairs(fields);
        let answer = self.post(path, &form.finish()).await;
        assert!(matches!(answer.status, 200 | 303), "{path}: {} {}", answer.status, answer.body);
        answer
    }

    /// Opens a page's stream of events.
    pub async fn live(&self, path: &str) -> Live {
        let response = self.request(Method::GET, path).header("accept", "text/event-stream").send_raw().await;
        assert_eq!(response.status(), 200);
        Live { response, heard: String::new() }
    }
}

impl Live {
    /// Everything that was heard, once it holds these words.
    pub async fn until(&mut self, words: &str) -> String {
        let hearing = async {
            while !self.heard.contains(words) {
                let chunk = self.response.chunk().await.expect("a stream");
                self.heard += &String::from_utf8_lossy(&chunk.unwrap_or_else(|| panic!("the stream goes on: {words}")));
            }
        };
        tokio::time::timeout(DEADLINE, hearing).await.unwrap_or_else(|_| panic!("{words} is heard"));
        self.heard.clone()
    }

    /// Waits for the end of the stream.
    pub async fn ended(mut self) {
        let ending = async { while self.response.chunk().await.is_ok_and(|chunk| chunk.is_some()) {} };
        tokio::time::timeout(DEADLINE, ending).await.expect("the stream ends");
    }
}
