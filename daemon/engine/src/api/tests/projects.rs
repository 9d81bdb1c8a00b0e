//! Projects: made, opened, deleted for real.

use super::*;

#[tokio::test]
async fn a_project_is_made_opened_and_deleted_with_its_files() {
    let instance = Instance::new("life").await;
    let created = instance.send("POST", "/api/v1/projects", r#"{"name":"second"}"#).await;
    assert_eq!(
        (created.status.as_u16(), created.json()["id"].clone(), created.json()["open"].clone()),
        (201, 2.into(), false.into())
    );
    assert_eq!(instance.send("POST", "/api/v1/projects/2/open", "").await.json()["open"], true);
    assert_eq!(instance.store.current().unwrap().id, 2);
    instance.record("b.example", "/", b"x").await;
    let open: Vec<_> = instance.get("/api/v1/projects").await.json()["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["open"].clone())
        .collect();
    assert_eq!(open, [false, true]);

    assert_eq!(instance.send("DELETE", "/api/v1/projects/2", "").await.code(), (409, "project_is_open".into()));
    assert!(exists(&instance.file(1)) && exists(&instance.file(2)));
    assert_eq!(instance.send("DELETE", "/api/v1/projects/1", "").await.status, 204);
    assert!(!exists(&instance.file(1)) && exists(&instance.file(2)));
    assert!(instance.keeper.script().projects.iter().all(|project| project.id != 1));
    assert_eq!(instance.send("DELETE", "/api/v1/projects/1", "").await.code(), (404, "no_such_project".into()));
    assert_eq!(instance.send("POST", "/api/v1/projects/1/open", "").await.code(), (404, "no_such_project".into()));
}

#[tokio::test]
async fn files_left_by_a_deletion_that_broke_off_go_with_the_next_try() {
    let instance = Instance::new("left").await;
    instance.send("POST", "/api/v1/projects", r#"{"name":"second"}"#).await;
    instance.send("POST", "/api/v1/projects/2/open", "").await;
    instance.keeper.script().projects.retain(|project| project.id != 1);
    assert!(exists(&instance.file(1)));
    assert_eq!(instance.send("DELETE", "/api/v1/projects/1", "").await.code(), (404, "no_such_project".into()));
    assert!(!exists(&instance.file(1)));
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_refused() {
    let instance = Instance::new("fit").await;
    let path = "/api/v1/projects";
    for body in ["", "{", "[]", "{}", r#"{"name":1}"#, r#"{"name":"x","id":7}"#, r#"{"name":"x"} trailing"#] {
        assert_eq!(instance.send("POST", path, body).await.code(), (400, "invalid_body".into()), "{body}");
    }
    assert_eq!(instance.send("POST", path, r#"{"name":"p1"}"#).await.code(), (422, "bad_project_name".into()));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let request =
            get(path).method("POST").header("content-type", kind).body(Body::from(r#"{"name":"x"}"#)).unwrap();
        assert_eq!(instance.ask(Arrival::Unix, request).await.code(), (415, "not_json".into()), "{kind}");
    }
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(merlon_api::MAX_BODY));
    assert_eq!(instance.send("POST", path, &large).await.code(), (413, "body_too_large".into()));
    let announced = get("/api/v1/flows").header("content-length", "65537").body(Body::empty()).unwrap();
    assert_eq!(instance.ask(Arrival::Unix, announced).await.code(), (413, "body_too_large".into()));
    assert_eq!(instance.keeper.script().projects.len(), 1);
}
