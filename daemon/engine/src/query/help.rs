//! The reference of the language, as users read it (`merlon help query`, the manual).

/// The reference.
pub(crate) const HELP: &str = r#"Queries choose flows. The empty query chooses all of them.

  merlon flows 'host:example.com status:5xx'
  merlon flows 'method:POST (size>1M or duration>2s) not path:/static'

WORDS
  A bare word is searched for in host and path together, upper and lower case
  alike: `example.com/api`. Put text with blanks, quotes, parentheses or any of
  : = < > in double quotes; inside them \" \\ \n \r \t \0 and \xHH are escapes.

CONDITIONS
  field operator value. Blanks around the operator are allowed.

  :             contains, upper and lower case alike (texts); equals (numbers,
                method, scheme)
  =  !=         is, is not: the whole text; case counts in path only
  <  <=  >  >=  numbers, sizes, times

  host          name or address, lower case, without brackets
  path          path and query as sent
  url           host and path as one text; only with `:`
  method        GET, POST ...
  scheme        http, https, or tunnel for connections relayed unread
  port          a number
  status        404, a class like 4xx, or none: no response came
  size          bytes of the response's body: 512, 10k, 1M, 2G (powers of 1024)
  request_size  bytes of the request's body
  time          a day (2026-01-31, UTC), a moment (2026-01-31T23:59Z,
                2026-01-31T23:59:59.5+02:00), or an age: -90s -15m -1h -7d -2w.
                A value means all of the day, minute or second it names:
                `time>2026-01-31` begins on 1 February. `time:-1h` is the last
                hour, `time<-1h` what is older.
  duration      500us, 20ms, 3s, 1m
  error         what went wrong, in words; error:none for flows without error
  header        a field of the request or the response:
                header:"x-id: 42"  field x-id whose value contains 42
                header="x-id: 42"  field x-id whose value is 42
                header:token       any field line that contains token
                header=cookie      there is a field of this name
  req.header, resp.header            the same, of one side
  body, req.body, resp.body          contains these bytes, exactly as they went
                over the wire (case counts; compressed bodies stay compressed);
                only with `:`

  A condition on something a flow does not have does not hold: without a
  response status<500 is false, and so status!=200 and not status:200 are true.

JOINING
  not before and before or; parentheses; conditions side by side mean and.

LIMITS
  4096 bytes, 64 conditions, 32 levels. header and body are read flow by flow
  after all other conditions: narrow the query by host or time first.
"#;
