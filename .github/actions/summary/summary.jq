# Formats the output of `make status FORMAT=json` as one paragraph for the page of a run.
"### \($environment): " + (if .version then "version `\(.version)`" else "nothing runs" end),
"",
(if .version then
  "\(.url // "") · \(.revision // "") · since \(.since // "unknown") by \(.by // "unknown")",
  ((.alarms // []) | map(select(.state == "ALARM").name) | if length > 0 then "", "In ALARM: \(join(", "))" else empty end)
else empty end)
