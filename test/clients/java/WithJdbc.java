// JDBC with pgvector-java: objects as parameters, COPY BINARY in and out.

import com.pgvector.PGbit;
import com.pgvector.PGhalfvec;
import com.pgvector.PGvector;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;

public class WithJdbc {
    static final int ROWS = 1000, DIM = 16, KINDS = 5, NEAREST = 10;
    static final double RADIUS = 120;

    // vector, pgvector's, or f32vec of vkindex alone
    static final String TYPE = System.getenv("VK_TYPE");

    record Pair(int id, double distance) {}

    // ---------------------------------------------------------- right answers

    static float[] embedding(int row) {
        float[] v = new float[DIM];
        for (int j = 0; j < DIM; j++) {
            v[j] = (row * row * (j + 3) + row * (2 * j + 1) * 37) % 1009 % 100 - 50;
        }
        return v;
    }

    static float[] query() {
        float[] v = new float[DIM];
        for (int j = 0; j < DIM; j++) {
            v[j] = j * 37 % 100 - 50;
        }
        return v;
    }

    static boolean[] bits(float[] v) {
        boolean[] b = new boolean[DIM];
        for (int j = 0; j < DIM; j++) {
            b[j] = v[j] > 0;
        }
        return b;
    }

    static double l2(float[] a, float[] b) {
        return Math.sqrt(IntStream.range(0, DIM).mapToDouble(j -> (a[j] - b[j]) * (a[j] - b[j])).sum());
    }

    static double hamming(float[] a, float[] b) {
        return IntStream.range(0, DIM).filter(j -> a[j] > 0 != b[j] > 0).count();
    }

    // all rows, or those of a kind, nearest first
    static List<Pair> byDistance(ToDoubleBiFunction<float[], float[]> distance, Integer ofKind) {
        return IntStream.rangeClosed(1, ROWS)
            .filter(row -> ofKind == null || row % KINDS == ofKind)
            .mapToObj(row -> new Pair(row, distance.applyAsDouble(embedding(row), query())))
            .sorted(Comparator.comparingDouble(Pair::distance))
            .toList();
    }

    // ----------------------------------------------------------------- checks

    static int passed, failed;

    static void check(String name, boolean right, Object otherwise) {
        System.out.println((right ? "ok " : "NOT OK ") + name + (right ? "" : " " + otherwise));
        if (right) {
            passed++;
        } else {
            failed++;
        }
    }

    static boolean close(double a, double b) {
        return Math.abs(a - b) < 1e-6;
    }

    // the distances of the best rows, each at its own row
    static void checkNearest(String name, List<Pair> found, List<Pair> expected) {
        Map<Integer, Double> own = expected.stream().collect(Collectors.toMap(Pair::id, Pair::distance));
        check(name, found.size() == NEAREST && IntStream.range(0, NEAREST).allMatch(i ->
            close(found.get(i).distance, expected.get(i).distance)
                && close(found.get(i).distance, own.getOrDefault(found.get(i).id, Double.NaN))), found);
    }

    // ------------------------------------------------------------------ tests

    static Connection connect() throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("options", "-c vkindex.target_recall=1");
        return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":"
            + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), properties);
    }

    // the class of vector serves f32vec
    static void register(Connection conn) throws SQLException {
        if (TYPE.equals("vector")) {
            PGvector.registerTypes(conn);
        } else {
            conn.unwrap(PGConnection.class).addDataType(TYPE, PGvector.class);
        }
    }

    static PGvector vector(float[] v) {
        PGvector vector = new PGvector(v);
        vector.setType(TYPE);
        return vector;
    }

    static void execute(Connection conn, String sql) throws SQLException {
        try (Statement statement = conn.createStatement()) {
            statement.execute(sql);
        }
    }

    // what COPY BINARY reads; the class writes a vector as the server wants it
    static byte[] copyData(int first, int last) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.write("PGCOPY\n\377\r\n\0".getBytes("ISO-8859-1"));
        out.writeInt(0);
        out.writeInt(0);
        for (int row = first; row <= last; row++) {
            PGvector v = vector(embedding(row));
            byte[] value = new byte[v.lengthInBytes()];
            v.toBytes(value, 0);
            out.writeShort(3);
            out.writeInt(4);
            out.writeInt(row);
            out.writeInt(4);
            out.writeInt(row % KINDS);
            out.writeInt(value.length);
            out.write(value);
        }
        out.writeShort(-1);
        return bytes.toByteArray();
    }

    static void fill(Connection conn) throws Exception {
        execute(conn, "CREATE TABLE items (id int PRIMARY KEY, kind int, embedding " + TYPE + "(" + DIM + "))");
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO items VALUES (?, ?, ?)")) {
            for (int row = 1; row <= 100; row++) {
                insert.setInt(1, row);
                insert.setInt(2, row % KINDS);
                insert.setObject(3, vector(embedding(row)));
                insert.addBatch();
            }
            insert.executeBatch();
        }
        CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
        long copied = copy.copyIn("COPY items FROM STDIN (FORMAT BINARY)",
            new ByteArrayInputStream(copyData(101, ROWS)));
        check("COPY BINARY in", copied == ROWS - 100, copied);

        // often enough for the driver to change from text to binary
        for (int turn = 0; turn < 7; turn++) {
            boolean right = true;
            try (PreparedStatement select = conn.prepareStatement("SELECT id, embedding FROM items");
                ResultSet rows = select.executeQuery()) {
                while (rows.next()) {
                    float[] back = ((PGvector) rows.getObject(2)).toArray();
                    right = right && Arrays.equals(back, embedding(rows.getInt(1)));
                }
            }
            check("values back " + turn, right, "");
        }
    }

    static List<Pair> nearest(Connection conn, String sql, PGobject query, Integer kind) throws SQLException {
        List<Pair> found = new ArrayList<>();
        try (PreparedStatement select = conn.prepareStatement(sql)) {
            select.setObject(1, query);
            if (kind != null) {
                select.setInt(2, kind);
            }
            try (ResultSet rows = select.executeQuery()) {
                while (rows.next()) {
                    found.add(new Pair(rows.getInt(1), rows.getDouble(2)));
                }
            }
        }
        return found;
    }

    // in each statement the query vector is given once
    static String nearestSql(String distance, String table, String where) {
        return "SELECT id, " + distance + " ? AS distance FROM " + table + " " + where
            + " ORDER BY distance LIMIT " + NEAREST;
    }

    static void search(Connection conn, String method, String options) throws SQLException {
        String index = "items_" + method;
        execute(conn, "CREATE INDEX " + index + " ON items USING " + method
            + " (embedding " + TYPE + "_l2_ops, kind) " + options);
        String sql = nearestSql("embedding <->", "items", "");
        try (PreparedStatement explain = conn.prepareStatement("EXPLAIN " + sql)) {
            explain.setObject(1, vector(query()));
            StringBuilder plan = new StringBuilder();
            try (ResultSet rows = explain.executeQuery()) {
                while (rows.next()) {
                    plan.append(rows.getString(1)).append('\n');
                }
            }
            check(method + ": plan", plan.indexOf("using " + index + " on") >= 0, plan);
        }
        checkNearest(method + ": k-NN", nearest(conn, sql, vector(query()), null), byDistance(WithJdbc::l2, null));
        // the driver prepares at the fifth time, and the server's plan becomes a generic one
        String filtered = nearestSql("embedding <->", "items", "WHERE kind = ?");
        for (int turn = 0; turn < 2 * KINDS + 2; turn++) {
            int kind = turn % KINDS;
            checkNearest(method + ": filter " + turn, nearest(conn, filtered, vector(query()), kind),
                byDistance(WithJdbc::l2, kind));
        }
        List<Integer> within = new ArrayList<>();
        try (PreparedStatement select = conn.prepareStatement(
            "SELECT id FROM items WHERE embedding <-> ? < ? ORDER BY embedding <-> ?")) {
            select.setObject(1, vector(query()));
            select.setDouble(2, RADIUS);
            select.setObject(3, vector(query()));
            try (ResultSet rows = select.executeQuery()) {
                while (rows.next()) {
                    within.add(rows.getInt(1));
                }
            }
        }
        check(method + ": range", within.equals(byDistance(WithJdbc::l2, null).stream()
            .filter(pair -> pair.distance < RADIUS).map(Pair::id).toList()), within);
        execute(conn, "DROP INDEX " + index);
    }

    static void copyOutAndIn(Connection conn) throws Exception {
        CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        copy.copyOut("COPY items TO STDOUT (FORMAT BINARY)", data);
        execute(conn, "CREATE TABLE items_copy (LIKE items)");
        copy.copyIn("COPY items_copy FROM STDIN (FORMAT BINARY)", new ByteArrayInputStream(data.toByteArray()));
        try (Statement statement = conn.createStatement();
            ResultSet rows = statement.executeQuery("SELECT count(*) FROM items JOIN items_copy c USING (id, kind) "
                + "WHERE items.embedding = c.embedding")) {
            rows.next();
            check("COPY BINARY out and in", rows.getInt(1) == ROWS, rows.getInt(1));
        }
    }

    // pgvector's halfvec and bit
    static void moreTypes(Connection conn) throws SQLException {
        execute(conn, "CREATE TABLE others (id int, half halfvec(" + DIM + "), code bit(" + DIM + "))");
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO others VALUES (?, ?, ?)")) {
            for (int row = 1; row <= ROWS; row++) {
                insert.setInt(1, row);
                insert.setObject(2, new PGhalfvec(embedding(row)));
                insert.setObject(3, new PGbit(bits(embedding(row))));
                insert.addBatch();
            }
            insert.executeBatch();
        }
        execute(conn, "CREATE INDEX ON others USING vkivf (half halfvec_l2_ops) WITH (lists = 20)");
        execute(conn, "CREATE INDEX ON others USING vkflat (code bit_hamming_ops)");
        checkNearest("halfvec: k-NN", nearest(conn, nearestSql("half <->", "others", ""),
            new PGhalfvec(query()), null), byDistance(WithJdbc::l2, null));
        checkNearest("bit: k-NN", nearest(conn, nearestSql("code <~>", "others", ""),
            new PGbit(bits(query())), null), byDistance(WithJdbc::hamming, null));
    }

    public static void main(String[] args) throws Exception {
        try (Connection conn = connect()) {
            execute(conn, "CREATE EXTENSION IF NOT EXISTS "
                + (TYPE.equals("vector") ? "vkindex_pgvector" : "vkindex") + " CASCADE");
            register(conn);
            fill(conn);
            search(conn, "vkflat", "");
            search(conn, "vkivf", "WITH (lists = 20)");
            copyOutAndIn(conn);
            if (TYPE.equals("vector")) {
                moreTypes(conn);
            }
        }
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed > 0 ? 1 : 0);
    }
}
