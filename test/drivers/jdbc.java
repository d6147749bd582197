// packages: libpostgresql-jdbc-java
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.util.UUID;

public class Main {
	public static void main(String[] arguments) throws Exception {
		String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
		Object[] userIds = {42, UUID.fromString("7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90"), "it's u1"};
		String properties = "{\"title\": \"Ro\u00e4r\", \"plays\": 3, \"tags\": [\"a\", \"b \\\"c\\\"\"], \"at\": null}";

		try (Connection connection = DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"))) {
			for (Object userId : userIds) {
				// from doc/clients.md
			}
		}
	}
}
