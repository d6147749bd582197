// packages: golang-github-lib-pq-dev
package main

import (
	"database/sql"
	"encoding/json"

	_ "github.com/lib/pq"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	userIDs := []interface{}{42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"}
	properties, err := json.Marshal(map[string]interface{}{
		"title": "Ro\u00e4r", "plays": 3, "tags": []string{"a", `b "c"`}, "at": nil})
	check(err)
	db, err := sql.Open("postgres", "sslmode=disable")
	check(err)
	for _, userID := range userIDs {
		// from doc/clients.md
		check(err)
	}
	check(db.Close())
}
