//! SQL and `matches` agree: random queries over a table of random flows.

use rusqlite::types::Value;

use super::{NOW, Sample, read};
use crate::query::{FlowView as _, SqlValue};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }
}

fn random_flow(dice: &mut Dice) -> Sample {
    let status = dice.pick(&[None, Some(200), Some(204), Some(404), Some(500)]);
    let head = dice.pick(&["X: a\r\n", "X: b\r\nY:\r\n", ""]);
    Sample {
        time_us: NOW - i64::try_from(dice.roll(200)).unwrap() * 1_800_000_000,
        duration_us: dice.pick(&[None, Some(1), Some(20_000), Some(3_000_000)]),
        scheme: dice.pick(&["http", "https", "tunnel"]),
        method: dice.pick(&["GET", "POST", "get", "Odd"]),
        host: dice.pick(&["a.example", "b.example", "%", "xn--caf-dma"]).into(),
        port: dice.pick(&[80, 443, 8080]),
        path: dice.pick(&["/", "/A", "/a?b=_%", "/'\"\\", "/\u{c9}t\u{e9}", ""]).into(),
        status,
        request_bytes: dice.pick(&[0, 1, 1024]),
        response_bytes: dice.pick(&[0, 10_240, 1 << 20, u64::MAX >> 1]),
        error: dice.pick(&[None, None, Some("None"), Some("Refused by B"), Some("")]).map(Into::into),
        request_head: format!("GET / HTTP/1.1\r\n{head}\r\n").into_bytes(),
        response_head: if status.is_some() { b"HTTP/1.1 200 A\r\nZ: a\r\n\r\n".to_vec() } else { vec![] },
        request_body: dice.pick(&["", "a", "ab"]).into(),
        response_body: dice.pick(&["", "b", "ba"]).into(),
    }
}

fn random_query(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 || dice.roll(3) == 0 {
        return random_term(dice);
    }
    let count = 1 + dice.roll(3);
    let parts: Vec<String> = (0..count).map(|_| random_query(dice, depth - 1)).collect();
    match dice.roll(4) {
        0 => format!("({})", parts.join(" ")),
        1 => format!("({})", parts.join(" or ")),
        2 => format!("not ({})", parts.join(" or ")),
        _ => format!("not ({})", parts.join(" and ")),
    }
}

fn random_term(dice: &mut Dice) -> String {
    let equality = [":", "=", "!="];
    let order = [":", "=", "!=", "<", "<=", ">", ">="];
    let text = |dice: &mut Dice| {
        dice.pick(&[
            "a",
            "A",
            "example",
            "a.example",
            "%",
            "_",
            "\"\"",
            "\"'\"",
            "\"\\\"\"",
            "none",
            "\"none\"",
            "/a",
            "\u{c9}",
            "\u{e9}",
            "GET",
            "Https",
        ])
    };
    match dice.roll(12) {
        0 => text(dice).to_owned(),
        1 => format!(
            "{}{}{}",
            dice.pick(&["host", "path", "method", "scheme", "error"]),
            dice.pick(&equality),
            text(dice)
        ),
        2 => format!("url:{}", text(dice)),
        3 => format!("status{}{}", dice.pick(&order), dice.pick(&["200", "2xx", "404", "4xx", "999"])),
        4 => format!("status{}none", dice.pick(&equality)),
        5 => format!(
            "{}{}{}",
            dice.pick(&["size", "request_size"]),
            dice.pick(&order),
            dice.pick(&["0", "1", "1k", "10k", "1M", "8g"])
        ),
        6 => format!("port{}{}", dice.pick(&order), dice.pick(&["80", "443"])),
        7 => format!(
            "time{}{}",
            dice.pick(&order),
            dice.pick(&[
                "2026-11-20",
                "2026-11-18",
                "-1h",
                "-0s",
                "-7d",
                "2026-11-20T10:30Z",
                "2026-11-20T12:00:00.0Z"
            ])
        ),
        8 => format!("duration{}{}", dice.pick(&order), dice.pick(&["1us", "20ms", "3s"])),
        9 => format!(
            "{}{}{}",
            dice.pick(&["header", "req.header", "resp.header"]),
            dice.pick(&equality),
            dice.pick(&["x", "a", "\"x: a\"", "\"z:\"", "\"q: a\""])
        ),
        _ => format!("{}:{}", dice.pick(&["body", "req.body", "resp.body"]), dice.pick(&["a", "b", "ab", "c", "\"\""])),
    }
}

fn table(flows: &[Sample]) -> rusqlite::Connection {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "CREATE TABLE flow (id INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, duration_us INTEGER, scheme TEXT NOT NULL,
             method TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL, path TEXT NOT NULL, status INTEGER,
             request_bytes INTEGER NOT NULL, response_bytes INTEGER NOT NULL, error TEXT) STRICT",
        )
        .unwrap();
    let mut insert = database.prepare("INSERT INTO flow VALUES (?,?,?,?,?,?,?,?,?,?,?,?)").unwrap();
    for (id, flow) in flows.iter().enumerate() {
        insert
            .execute(rusqlite::params![
                i64::try_from(id).unwrap(),
                flow.time_us(),
                flow.duration_us(),
                flow.scheme(),
                flow.method(),
                flow.host(),
                flow.port(),
                flow.path(),
                flow.status(),
                i64::try_from(flow.request_bytes()).unwrap(),
                i64::try_from(flow.response_bytes()).unwrap(),
                flow.error(),
            ])
            .unwrap();
    }
    drop(insert);
    database
}

#[test]
fn sql_lets_through_every_match_and_nothing_else_where_it_is_exact() {
    let mut dice = Dice(0x9e37_79b9);
    let flows: Vec<Sample> = (0..200).map(|_| random_flow(&mut dice)).collect();
    let database = table(&flows);
    let (mut exact, mut narrowed, mut matched) = (0, 0, 0);
    for _ in 0..3_000 {
        let query = random_query(&mut dice, 3);
        let Ok(ast) = read(&query) else {
            // The generator may build more conditions than are allowed, nothing else.
            assert!(read(&query).unwrap_err().message.contains("conditions"), "{query}");
            continue;
        };
        let filter = ast.sql();
        let values = filter.params.iter().map(|value| match value {
            SqlValue::Int(number) => Value::Integer(*number),
            SqlValue::Text(text) => Value::Text(text.clone()),
        });
        let sql = format!("SELECT f.id FROM flow f WHERE {} ORDER BY f.id", filter.clause);
        let mut statement = database.prepare(&sql).unwrap_or_else(|error| panic!("{query}: {sql}: {error}"));
        let through: Vec<usize> = statement
            .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, i64>(0))
            .unwrap()
            .map(|id| usize::try_from(id.unwrap()).unwrap())
            .collect();
        let matching: Vec<usize> = (0..flows.len()).filter(|&id| ast.matches(&flows[id])).collect();
        if filter.exact {
            assert_eq!(through, matching, "{query}: {sql}");
            exact += 1;
        } else {
            assert!(matching.iter().all(|id| through.binary_search(id).is_ok()), "{query}: {sql}");
            narrowed += usize::from(through.len() < flows.len());
        }
        matched += usize::from(!matching.is_empty() && matching.len() < flows.len());
    }
    // The test tests something.
    assert!(exact > 500 && narrowed > 100 && matched > 1000, "{exact} {narrowed} {matched}");
}
