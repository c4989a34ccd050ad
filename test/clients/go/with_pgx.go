// Go's pgx with pgvector-go: binary codecs, COPY BINARY in and out.
package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/pgvector/pgvector-go"
	pgxvec "github.com/pgvector/pgvector-go/pgx"
)

const (
	rows   = 1000
	dim    = 16
	kinds  = 5
	kind   = 3
	radius = 120.0
	k      = 10
)

// vector, pgvector's, or f32vec of vkindex alone
var typeName = os.Getenv("VK_TYPE")

// ------------------------------------------------------------ right answers

type pair struct {
	id       int
	distance float64
}

func embedding(row int) []float32 {
	v := make([]float32, dim)
	for j := range v {
		v[j] = float32((row*row*(j+3)+row*(2*j+1)*37)%1009%100 - 50)
	}
	return v
}

func query() []float32 {
	v := make([]float32, dim)
	for j := range v {
		v[j] = float32(j*37%100 - 50)
	}
	return v
}

// bits is pgvector's binary quantization: positive or not.
func bits(v []float32) pgtype.Bits {
	b := pgtype.Bits{Bytes: make([]byte, dim/8), Len: dim, Valid: true}
	for j, x := range v {
		if x > 0 {
			b.Bytes[j/8] |= 0x80 >> (j % 8)
		}
	}
	return b
}

func l2(a, b []float32) float64 {
	sum := 0.0
	for j := range a {
		sum += float64(a[j]-b[j]) * float64(a[j]-b[j])
	}
	return math.Sqrt(sum)
}

func hamming(a, b []float32) (count float64) {
	for j := range a {
		if (a[j] > 0) != (b[j] > 0) {
			count++
		}
	}
	return
}

// byDistance is all rows, or those of a kind, nearest first.
func byDistance(distance func(a, b []float32) float64, ofKind int) (found []pair) {
	for row := 1; row <= rows; row++ {
		if ofKind < 0 || row%kinds == ofKind {
			found = append(found, pair{row, distance(embedding(row), query())})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].distance < found[j].distance })
	return
}

// ------------------------------------------------------------------- checks

var passed, failed int

func check(name string, right bool, otherwise ...any) {
	if right {
		passed++
		fmt.Println("ok", name)
	} else {
		failed++
		fmt.Println("NOT OK", name, otherwise)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// checkNearest wants the distances of the best rows, each at its own row.
func checkNearest(name string, found, expected []pair) {
	own := map[int]float64{}
	for _, e := range expected {
		own[e.id] = e.distance
	}
	right := len(found) == k
	for i, f := range found {
		right = right && math.Abs(f.distance-expected[i].distance) < 1e-6 && math.Abs(f.distance-own[f.id]) < 1e-6
	}
	check(name, right, found)
}

// -------------------------------------------------------------------- tests

var ctx = context.Background()

func exec(conn *pgx.Conn, sql string, args ...any) {
	must(conn.Exec(ctx, sql, args...))
}

// register gives the connection pgvector's codecs; that of vector serves f32vec.
func register(conn *pgx.Conn) {
	if typeName == "vector" {
		must(0, pgxvec.RegisterTypes(ctx, conn))
		return
	}
	var oid uint32
	must(0, conn.QueryRow(ctx, "SELECT $1::text::regtype::oid", typeName).Scan(&oid))
	conn.TypeMap().RegisterType(&pgtype.Type{Name: typeName, OID: oid, Codec: &pgxvec.VectorCodec{}})
}

func fill(conn *pgx.Conn) {
	exec(conn, fmt.Sprintf("CREATE TABLE items (id int PRIMARY KEY, kind int, embedding %s(%d))", typeName, dim))
	for row := 1; row <= 100; row++ {
		exec(conn, "INSERT INTO items VALUES ($1, $2, $3)", row, row%kinds, pgvector.NewVector(embedding(row)))
	}
	source := pgx.CopyFromSlice(rows-100, func(i int) ([]any, error) {
		return []any{i + 101, (i + 101) % kinds, pgvector.NewVector(embedding(i + 101))}, nil
	})
	copied := must(conn.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"id", "kind", "embedding"}, source))
	check("COPY BINARY in", copied == rows-100, copied)

	right := true
	var id int
	var v pgvector.Vector
	back := must(conn.Query(ctx, "SELECT id, embedding FROM items"))
	tag := must(pgx.ForEachRow(back, []any{&id, &v}, func() error {
		right = right && fmt.Sprint(v.Slice()) == fmt.Sprint(embedding(id))
		return nil
	}))
	check("values back", right && tag.RowsAffected() == rows)
}

func nearest(conn *pgx.Conn, sql string, args ...any) []pair {
	return must(pgx.CollectRows(must(conn.Query(ctx, sql, args...)), func(row pgx.CollectableRow) (p pair, err error) {
		err = row.Scan(&p.id, &p.distance)
		return
	}))
}

func search(conn *pgx.Conn, method, options string) {
	index := "items_" + method
	exec(conn, fmt.Sprintf("CREATE INDEX %s ON items USING %s (embedding %s_l2_ops, kind) %s", index, method, typeName, options))
	sql := fmt.Sprintf("SELECT id, embedding <-> $1 AS distance FROM items %%s ORDER BY distance LIMIT %d", k)
	q := pgvector.NewVector(query())
	plan := must(pgx.CollectRows(must(conn.Query(ctx, "EXPLAIN "+fmt.Sprintf(sql, ""), q)), pgx.RowTo[string]))
	check(method+": plan", strings.Contains(strings.Join(plan, "\n"), "using "+index+" on"), plan)
	checkNearest(method+": k-NN", nearest(conn, fmt.Sprintf(sql, ""), q), byDistance(l2, -1))
	// pgx prepares by itself; from the sixth time on the plan is a generic one
	for turn := range kinds + 2 {
		found := nearest(conn, fmt.Sprintf(sql, "WHERE kind = $2"), q, turn%kinds)
		checkNearest(fmt.Sprintf("%s: filter %d", method, turn), found, byDistance(l2, turn%kinds))
	}
	ids := must(pgx.CollectRows(must(conn.Query(ctx,
		"SELECT id FROM items WHERE embedding <-> $1 < $2 ORDER BY embedding <-> $1", q, radius)), pgx.RowTo[int]))
	var expected []int
	for _, p := range byDistance(l2, -1) {
		if p.distance < radius {
			expected = append(expected, p.id)
		}
	}
	check(method+": range", fmt.Sprint(ids) == fmt.Sprint(expected), ids)
	exec(conn, "DROP INDEX "+index)
}

func copyOutAndIn(conn *pgx.Conn) {
	var data bytes.Buffer
	must(conn.PgConn().CopyTo(ctx, &data, "COPY items TO STDOUT (FORMAT BINARY)"))
	exec(conn, "CREATE TABLE items_copy (LIKE items)")
	must(conn.PgConn().CopyFrom(ctx, &data, "COPY items_copy FROM STDIN (FORMAT BINARY)"))
	var count int
	must(0, conn.QueryRow(ctx,
		"SELECT count(*) FROM items JOIN items_copy c USING (id, kind) WHERE items.embedding = c.embedding").Scan(&count))
	check("COPY BINARY out and in", count == rows, count)
}

// moreTypes: pgvector's halfvec and bit
func moreTypes(conn *pgx.Conn) {
	exec(conn, fmt.Sprintf("CREATE TABLE others (id int, half halfvec(%d), code bit(%[1]d))", dim))
	source := pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		v := embedding(i + 1)
		return []any{i + 1, pgvector.NewHalfVector(v), bits(v)}, nil
	})
	must(conn.CopyFrom(ctx, pgx.Identifier{"others"}, []string{"id", "half", "code"}, source))
	exec(conn, "CREATE INDEX ON others USING vkivf (half halfvec_l2_ops) WITH (lists = 20)")
	exec(conn, "CREATE INDEX ON others USING vkflat (code bit_hamming_ops)")
	sql := fmt.Sprintf("SELECT id, %%s $1 AS distance FROM others ORDER BY distance LIMIT %d", k)
	checkNearest("halfvec: k-NN", nearest(conn, fmt.Sprintf(sql, "half <->"), pgvector.NewHalfVector(query())), byDistance(l2, -1))
	checkNearest("bit: k-NN", nearest(conn, fmt.Sprintf(sql, "code <~>"), bits(query())), byDistance(hamming, -1))
}

func main() {
	conn := must(pgx.Connect(ctx, "options='-c vkindex.target_recall=1'"))
	defer conn.Close(ctx)
	extension := map[bool]string{true: "vkindex_pgvector", false: "vkindex"}[typeName == "vector"]
	exec(conn, "CREATE EXTENSION IF NOT EXISTS "+extension+" CASCADE")
	register(conn)
	fill(conn)
	search(conn, "vkflat", "")
	search(conn, "vkivf", "WITH (lists = 20)")
	copyOutAndIn(conn)
	if typeName == "vector" {
		moreTypes(conn)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
