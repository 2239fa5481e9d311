//! REST of Ably's reference in ways that no SDK uses: forms, bare payloads, lists of channels, chosen fields, links.

use reqwest::{Client, RequestBuilder, Response, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tandem_ably::Config;

use super::{
    node::{KEY_NAME, KEY_SECRET, Node},
    wire::Wire,
};

fn node() -> Node {
    Node::start(Config::default())
}

fn get(node: &Node, path: &str) -> RequestBuilder {
    Client::new().get(format!("{}{path}", node.url)).basic_auth(KEY_NAME, Some(KEY_SECRET))
}

fn post(node: &Node, path: &str, content: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let request = Client::new().post(format!("{}{path}", node.url)).basic_auth(KEY_NAME, Some(KEY_SECRET));
    request.header(CONTENT_TYPE, content).body(body)
}

async fn json_of(request: RequestBuilder) -> Value {
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

async fn done(request: RequestBuilder) {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

async fn newest(node: &Node, channel: &str) -> Value {
    json_of(get(node, &format!("/channels/{channel}/messages?limit=1"))).await[0].clone()
}

/// The links of a page by relation. Each is in its own header.
fn links(answer: &Response) -> Vec<(String, String)> {
    let read = |text: &str| {
        let (url, relation) = text.strip_prefix('<').and_then(|text| text.split_once(">; rel=\"")).expect("one link");
        (relation.strip_suffix('"').expect("one relation").to_owned(), url.to_owned())
    };
    answer.headers().get_all("link").iter().map(|value| read(value.to_str().unwrap())).collect()
}

/// Follows `next` from the first page to the last. Returns the number of items of each page.
async fn pages(node: &Node, folder: &str, first: &str) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut path = format!("{folder}{first}");
    loop {
        let answer = get(node, &path).send().await.unwrap();
        let links = links(&answer);
        let relations: Vec<_> = links.iter().map(|(relation, _)| relation.as_str()).collect();
        let items: Vec<Value> = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        sizes.push(items.len());
        match links.iter().find(|(relation, _)| relation == "next") {
            Some((_, next)) => {
                assert_eq!(relations, ["first", "current", "next"], "{path}");
                path = format!("{folder}{}", next.strip_prefix("./").unwrap());
            }
            None => {
                assert_eq!(relations, ["first", "current"], "{path}");
                return sizes;
            }
        }
    }
}

#[tokio::test]
async fn every_page_has_a_header_for_each_link_and_all_pages_are_reached() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    for n in 0..5 {
        let event = json!([{"action": 2, "clientId": format!("member-{n}")}]);
        wire.send(json!({"action": 14, "channel": "c", "msgSerial": n, "presence": event})).await;
        done(post(&node, "/channels/c/messages", "application/json", format!("{{\"name\":\"m{n}\"}}"))).await;
    }
    wire.settle().await;
    for n in 0..4 {
        wire.attach(&format!("room:{n}")).await;
    }
    for (folder, first) in [
        ("/channels/c/", "messages?limit=2"),
        ("/channels/c/", "history?limit=2&direction=forwards"),
        ("/channels/c/", "presence?limit=2"),
        ("/channels/c/presence/", "history?limit=2"),
    ] {
        assert_eq!(pages(&node, folder, first).await, [2, 2, 1], "{first}");
    }
    assert_eq!(pages(&node, "/", "channels?limit=2&by=id").await, [2, 2, 1]);
    assert_eq!(pages(&node, "/", "stats?limit=2").await, [0]);
    // In an envelope all links are in one value.
    let enveloped = json_of(get(&node, "/channels/c/messages?limit=2&envelope=json")).await;
    assert_eq!(enveloped["headers"]["Link"].as_str().unwrap().matches("rel=").count(), 3);
}

#[tokio::test]
async fn active_channels_are_listed_by_name_as_names_or_with_their_status() {
    let node = node();
    let (mut wire, _) = Wire::connected(&node, "").await;
    for channel in ["b:2", "a", "b:1", "b:3"] {
        wire.attach(channel).await;
    }
    let ids = |query: &str| json_of(get(&node, &format!("/channels?by=id{query}")));
    assert_eq!(ids("").await, json!(["a", "b:1", "b:2", "b:3"]));
    assert_eq!(ids("&prefix=b:&limit=2").await, json!(["b:1", "b:2"]));
    assert_eq!(ids("&prefix=c").await, json!([]));
    let details = json_of(get(&node, "/channels?prefix=a")).await;
    assert_eq!((details.as_array().unwrap().len(), &details[0]["channelId"]), (1, &json!("a")));
    assert_eq!(details[0]["status"]["occupancy"]["metrics"]["subscribers"], 1);
    for wrong in ["by=name", "limit=0", "limit=1001"] {
        assert_eq!(json_of(get(&node, &format!("/channels?{wrong}"))).await["error"]["code"], 40000, "{wrong}");
    }
    // A client without rights to a channel's status does not see the channel.
    for (capability, expected) in [
        (r#"{"b:*":["channel-metadata"],"a":["subscribe"]}"#, json!(["b:1", "b:2", "b:3"])),
        (r#"{"*":["subscribe"]}"#, Value::Null),
    ] {
        let wanted = json!({"capability": capability}).to_string();
        let path = format!("/keys/{KEY_NAME}/requestToken");
        let token = json_of(post(&node, &path, "application/json", wanted)).await["token"].clone();
        let list = Client::new().get(format!("{}/channels?by=id", node.url)).bearer_auth(token.as_str().unwrap());
        let list = json_of(list).await;
        assert!(list == expected || (expected.is_null() && list["error"]["code"] == 40160), "{list}");
    }
}

#[tokio::test]
async fn an_unenveloped_body_is_the_data_of_a_message() {
    let node = node();
    let path = "/channels/c/messages?enveloped=false";
    for (content, body, data, encoding) in [
        ("application/json", &br#"{"some":"json"}"#[..], json!(r#"{"some":"json"}"#), json!("json")),
        ("application/json; charset=utf-8", br#"[{"name":"x"}]"#, json!(r#"[{"name":"x"}]"#), json!("json")),
        ("application/cloudevents+json", b"7", json!("7"), json!("json")),
        ("text/plain", "some pläin text".as_bytes(), json!("some pläin text"), Value::Null),
        ("application/octet-stream", &[0xff, 0, 0xfe], json!("/wD+"), json!("base64")),
        ("image/png", &[0x89], json!("iQ=="), json!("base64")),
        ("application/x-www-form-urlencoded", b"a=1&b=2", json!("a=1&b=2"), Value::Null),
        ("application/x-msgpack", &[0xa2, b'h', b'i'], json!("hi"), Value::Null),
        ("text/plain", b"", Value::Null, Value::Null),
    ] {
        done(post(&node, path, content, body)).await;
        let message = newest(&node, "c").await;
        assert_eq!((&message["data"], &message["encoding"]), (&data, &encoding), "{content}");
        assert_eq!((&message["name"], &message["clientId"]), (&Value::Null, &Value::Null));
    }
    for (content, body) in [("application/json", &b"{"[..]), ("text/plain", &[0xff])] {
        let answer = json_of(post(&node, path, content, body)).await;
        assert_eq!(answer["error"]["code"], 40000, "{content}");
    }
}

#[tokio::test]
async fn fields_of_an_unenveloped_message_are_headers_or_query_parameters() {
    let node = node();
    let path = "/channels/c/messages?enveloped=false";
    let by_header = post(&node, path, "text/plain", "x").header("x-ably-name", "greeting");
    let by_header = by_header.header("x-ably-messageid", "once").header("x-ably-clientid", "YWxpY2U=");
    done(by_header.header("x-ably-encoding", "utf-8/cipher+aes-128-cbc")).await;
    let message = newest(&node, "c").await;
    assert_eq!((&message["name"], &message["id"]), (&json!("greeting"), &json!("once")));
    assert_eq!((&message["clientId"], &message["encoding"]), (&json!("alice"), &json!("utf-8/cipher+aes-128-cbc")));
    let by_query = format!("{path}&name=farewell&messageId=twice&clientId=bob");
    for _ in 0..2 {
        done(post(&node, &by_query, "text/plain", "y")).await;
    }
    let messages = json_of(get(&node, "/channels/c/messages")).await;
    assert_eq!(messages.as_array().unwrap().len(), 2, "the same id is published once");
    assert_eq!((&messages[0]["name"], &messages[0]["clientId"]), (&json!("farewell"), &json!("bob")));
}

#[tokio::test]
async fn forms_are_accepted_as_messages_and_token_requests() {
    let node = node();
    let form = "application/x-www-form-urlencoded";
    done(post(&node, "/channels/c/messages", form, "name=greeting&data=hello+there&clientId=alice&id=x")).await;
    let message = newest(&node, "c").await;
    assert_eq!((&message["name"], &message["data"]), (&json!("greeting"), &json!("hello there")));
    assert_eq!((&message["clientId"], &message["id"]), (&json!("alice"), &json!("x")));
    // `curl -d` sends JSON with the type of a form.
    done(post(&node, "/channels/c/messages", form, r#"{"name":"json"}"#)).await;
    assert_eq!(newest(&node, "c").await["name"], "json");
    let wanted = "ttl=60000&clientId=bob&capability=%7B%22c%22%3A%5B%22subscribe%22%5D%7D";
    let token = json_of(post(&node, &format!("/keys/{KEY_NAME}/requestToken"), form, wanted)).await;
    assert_eq!((&token["clientId"], &token["capability"]), (&json!("bob"), &json!(r#"{"c":["subscribe"]}"#)));
    assert_eq!(token["expires"].as_i64().unwrap() - token["issued"].as_i64().unwrap(), 60_000);
}

#[tokio::test]
async fn a_client_chooses_fields_and_browsers_get_a_page() {
    let node = node();
    done(post(&node, "/channels/c/messages", "application/json", r#"{"name":"<b>","data":"y"}"#)).await;
    assert_eq!(json_of(get(&node, "/channels/c/messages?fields=name")).await, json!([{"name": "<b>"}]));
    let status = json_of(get(&node, "/channels/c?fields=name,status.isActive")).await;
    assert_eq!(status, json!({"name": "c", "status": {"isActive": true}}));
    let page = get(&node, "/channels/c/messages?format=html").send().await.unwrap();
    assert!(page.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    let text = page.text().await.unwrap();
    assert!(text.contains("&lt;b&gt;") && !text.contains("<b>"), "{text}");
    for (query, status) in [("format=jsonp", 403), ("flatten=true", 403), ("select=*.x", 403), ("format=xml", 400)] {
        let answer = get(&node, &format!("/channels/c/messages?{query}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{query} is not ignored");
    }
}

#[tokio::test]
async fn unknown_paths_get_an_error_that_realtime_clients_can_read() {
    let node = node();
    for request in [
        get(&node, "/nowhere"),
        Client::new().get(format!("{}/stats/nowhere", node.url)),
        Client::new().get(format!("{}/keys/nowhere", node.url)),
        Client::new().get(format!("{}/nowhere", node.url)).header("x-ably-version", "3"),
        Client::new().get(format!("{}/nowhere?access_token=x", node.url)),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["x-ably-errorcode"]), (404, &"40400".parse().unwrap()));
        assert!(answer.headers().contains_key("x-ably-errormessage"));
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!((&body["error"]["code"], &body["error"]["statusCode"]), (&json!(40400), &json!(404)));
    }
    let head = Client::new().head(&node.url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    let wrong = Client::new().delete(&node.url).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), &wrong.headers()["x-ably-errorcode"]), (405, &"40500".parse().unwrap()));
}

#[tokio::test]
async fn a_found_connection_key_gives_no_rights_of_its_owner() {
    let node = node();
    let token = async |client_id: &str| {
        let path = format!("/keys/{KEY_NAME}/requestToken");
        let wanted = json!({"clientId": client_id}).to_string();
        json_of(post(&node, &path, "application/json", wanted)).await["token"].as_str().unwrap().to_owned()
    };
    let mut alice = Wire::open_with(&node, &format!("access_token={}", token("alice").await)).await;
    let connected = alice.next_of(4).await;
    let stolen = json!({"name": "x", "connectionKey": connected["connectionDetails"]["connectionKey"]}).to_string();
    let publish = |token: String| {
        let request = Client::new().post(format!("{}/channels/c/messages", node.url)).bearer_auth(token);
        request.header(CONTENT_TYPE, "application/json").body(stolen.clone())
    };
    assert_eq!(json_of(publish(token("mallory").await)).await["error"]["code"], 40006);
    done(publish(token("alice").await)).await;
    let message = newest(&node, "c").await;
    assert_eq!((&message["clientId"], &message["connectionId"]), (&json!("alice"), &connected["connectionId"]));
    // The operator's key may.
    done(post(&node, "/channels/c/messages", "application/json", stolen.clone())).await;
}
