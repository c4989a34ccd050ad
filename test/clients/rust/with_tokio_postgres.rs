//! tokio-postgres with the pgvector crate: binary parameters, COPY BINARY in and out.

use std::{collections::HashMap, env, error::Error, process};

use bytes::{Bytes, BytesMut};
use futures_util::{pin_mut, SinkExt, TryStreamExt};
use pgvector::{Bit, HalfVector, Vector};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::{to_sql_checked, FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, Config, NoTls};

type Result<T> = std::result::Result<T, Box<dyn Error + Sync + Send>>;

const ROWS: i32 = 1000;
const DIM: i32 = 16;
const KINDS: i32 = 5;
const RADIUS: f64 = 120.0;
const NEAREST: usize = 10;

/// The crate's Vector takes columns of type vector only; this one takes f32vec too.
#[derive(Clone, Debug, PartialEq)]
struct Embedding(Vector);

impl ToSql for Embedding {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.name(), "vector" | "f32vec")
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Embedding {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self> {
        Ok(Embedding(FromSql::from_sql(ty, raw)?))
    }

    fn accepts(ty: &Type) -> bool {
        <Embedding as ToSql>::accepts(ty)
    }
}

// -------------------------------------------------------------- right answers

fn embedding(row: i32) -> Vec<f32> {
    (0..DIM).map(|j| ((row * row * (j + 3) + row * (2 * j + 1) * 37) % 1009 % 100 - 50) as f32).collect()
}

fn query() -> Vec<f32> {
    (0..DIM).map(|j| (j * 37 % 100 - 50) as f32).collect()
}

fn bits(v: &[f32]) -> Bit {
    Bit::new(&v.iter().map(|x| *x > 0.0).collect::<Vec<_>>())
}

fn vector(v: &[f32]) -> Embedding {
    Embedding(Vector::from(v.to_vec()))
}

fn l2(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
}

fn hamming(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).filter(|(x, y)| (**x > 0.0) != (**y > 0.0)).count() as f64
}

/// All rows, or those of a kind, nearest first.
fn by_distance(distance: fn(&[f32], &[f32]) -> f64, of_kind: Option<i32>) -> Vec<(i32, f64)> {
    let mut found: Vec<_> = (1..=ROWS)
        .filter(|row| of_kind.is_none_or(|kind| row % KINDS == kind))
        .map(|row| (row, distance(&embedding(row), &query())))
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found
}

// --------------------------------------------------------------------- checks

#[derive(Default)]
struct Checks {
    passed: i32,
    failed: i32,
}

impl Checks {
    fn that(&mut self, name: &str, right: bool) {
        println!("{} {name}", if right { "ok" } else { "NOT OK" });
        *(if right { &mut self.passed } else { &mut self.failed }) += 1;
    }

    /// The distances of the best rows, each at its own row.
    fn nearest(&mut self, name: &str, found: &[(i32, f64)], expected: &[(i32, f64)]) {
        let own: HashMap<_, _> = expected.iter().copied().collect();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        self.that(
            name,
            found.len() == NEAREST
                && found.iter().zip(expected).all(|((id, distance), best)| {
                    close(*distance, best.1) && own.get(id).is_some_and(|d| close(*distance, *d))
                }),
        );
    }
}

// ---------------------------------------------------------------------- tests

async fn fill(client: &Client, checks: &mut Checks, ty: &str) -> Result<()> {
    client.batch_execute(&format!("CREATE TABLE items (id int PRIMARY KEY, kind int, embedding {ty}({DIM}))")).await?;
    let insert = client.prepare("INSERT INTO items VALUES ($1, $2, $3)").await?;
    for row in 1..=100 {
        client.execute(&insert, &[&row, &(row % KINDS), &vector(&embedding(row))]).await?;
    }

    let types = [Type::INT4, Type::INT4, insert.params()[2].clone()];
    let sink = client.copy_in("COPY items FROM STDIN (FORMAT BINARY)").await?;
    let writer = BinaryCopyInWriter::new(sink, &types);
    pin_mut!(writer);
    for row in 101..=ROWS {
        writer.as_mut().write(&[&row, &(row % KINDS), &vector(&embedding(row))]).await?;
    }
    checks.that("COPY BINARY in", writer.finish().await? == (ROWS - 100) as u64);

    let stream = client.copy_out("COPY items TO STDOUT (FORMAT BINARY)").await?;
    let rows: Vec<_> = BinaryCopyOutStream::new(stream, &types).try_collect().await?;
    checks.that(
        "COPY BINARY out, values back",
        rows.len() == ROWS as usize && rows.iter().all(|r| r.get::<Embedding>(2) == vector(&embedding(r.get(0)))),
    );
    Ok(())
}

async fn nearest(client: &Client, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<(i32, f64)>> {
    Ok(client.query(sql, params).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn search(client: &Client, checks: &mut Checks, ty: &str, method: &str, options: &str) -> Result<()> {
    let index = format!("items_{method}");
    client
        .batch_execute(&format!("CREATE INDEX {index} ON items USING {method} (embedding {ty}_l2_ops, kind) {options}"))
        .await?;
    let query = vector(&query());
    let sql = |filter| {
        format!("SELECT id, embedding <-> $1 AS distance FROM items {filter} ORDER BY distance LIMIT {NEAREST}")
    };

    let plan = client.query(&format!("EXPLAIN {}", sql("")), &[&query]).await?;
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    checks.that(&format!("{method}: plan"), plan.join("\n").contains(&format!("using {index} on")));
    checks.nearest(&format!("{method}: k-NN"), &nearest(client, &sql(""), &[&query]).await?, &by_distance(l2, None));

    // from the sixth time on, the plan is a generic one
    let prepared = client.prepare(&sql("WHERE kind = $2")).await?;
    for turn in 0..KINDS + 2 {
        let kind = turn % KINDS;
        let rows = client.query(&prepared, &[&query, &kind]).await?;
        let found: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        checks.nearest(&format!("{method}: filter {turn}"), &found, &by_distance(l2, Some(kind)));
    }

    let range = "SELECT id FROM items WHERE embedding <-> $1 < $2 ORDER BY embedding <-> $1";
    let rows = client.query(range, &[&query, &RADIUS]).await?;
    let expected: Vec<_> = by_distance(l2, None).into_iter().filter(|p| p.1 < RADIUS).map(|p| p.0).collect();
    checks.that(&format!("{method}: range"), rows.iter().map(|row| row.get::<_, i32>(0)).eq(expected));
    client.batch_execute(&format!("DROP INDEX {index}")).await?;
    Ok(())
}

async fn copy_out_and_in(client: &Client, checks: &mut Checks) -> Result<()> {
    let data: Vec<Bytes> = client.copy_out("COPY items TO STDOUT (FORMAT BINARY)").await?.try_collect().await?;
    client.batch_execute("CREATE TABLE items_copy (LIKE items)").await?;
    let sink = client.copy_in("COPY items_copy FROM STDIN (FORMAT BINARY)").await?;
    pin_mut!(sink);
    for part in data {
        sink.send(part).await?;
    }
    sink.finish().await?;
    let same = "SELECT count(*) FROM items JOIN items_copy c USING (id, kind) WHERE items.embedding = c.embedding";
    checks.that("COPY BINARY out and in", client.query_one(same, &[]).await?.get::<_, i64>(0) == ROWS.into());
    Ok(())
}

/// pgvector's halfvec and bit
async fn more_types(client: &Client, checks: &mut Checks) -> Result<()> {
    client.batch_execute(&format!("CREATE TABLE others (id int, half halfvec({DIM}), code bit({DIM}))")).await?;
    let insert = client.prepare("INSERT INTO others VALUES ($1, $2, $3)").await?;
    for row in 1..=ROWS {
        let v = embedding(row);
        client.execute(&insert, &[&row, &HalfVector::from_f32_slice(&v), &bits(&v)]).await?;
    }
    client
        .batch_execute(
            "CREATE INDEX ON others USING vkivf (half halfvec_l2_ops) WITH (lists = 20);
             CREATE INDEX ON others USING vkflat (code bit_hamming_ops)",
        )
        .await?;
    let sql =
        |distance| format!("SELECT id, {distance} $1 AS distance FROM others ORDER BY distance LIMIT {NEAREST}");
    let half = HalfVector::from_f32_slice(&query());
    checks.nearest("halfvec: k-NN", &nearest(client, &sql("half <->"), &[&half]).await?, &by_distance(l2, None));
    let code = bits(&query());
    checks.nearest("bit: k-NN", &nearest(client, &sql("code <~>"), &[&code]).await?, &by_distance(hamming, None));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // vector, pgvector's, or f32vec of vkindex alone
    let ty = env::var("VK_TYPE")?;
    let (client, connection) = Config::new()
        .host(&env::var("PGHOST")?)
        .port(env::var("PGPORT")?.parse()?)
        .user(&env::var("PGUSER")?)
        .dbname(&env::var("PGDATABASE")?)
        .options("-c vkindex.target_recall=1")
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);

    let mut checks = Checks::default();
    let extension = if ty == "vector" { "vkindex_pgvector" } else { "vkindex" };
    client.batch_execute(&format!("CREATE EXTENSION IF NOT EXISTS {extension} CASCADE")).await?;
    fill(&client, &mut checks, &ty).await?;
    search(&client, &mut checks, &ty, "vkflat", "").await?;
    search(&client, &mut checks, &ty, "vkivf", "WITH (lists = 20)").await?;
    copy_out_and_in(&client, &mut checks).await?;
    if ty == "vector" {
        more_types(&client, &mut checks).await?;
    }
    println!("{} passed, {} failed", checks.passed, checks.failed);
    process::exit((checks.failed > 0).into());
}
