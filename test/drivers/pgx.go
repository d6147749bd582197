// packages: golang-github-jackc-pgx-v4-dev
package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v4"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	userIDs := []interface{}{42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"}
	properties := map[string]interface{}{
		"title": "Ro\u00e4r", "plays": 3, "tags": []string{"a", `b "c"`}, "at": nil}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "sslmode=disable")
	check(err)
	for _, userID := range userIDs {
		// from doc/clients.md
		check(err)
	}
	check(conn.Close(ctx))
}
