/*-------------------------------------------------------------------------
 *
 * client.c
 *	  Load vectors, and time and check prepared k-NN statements.
 *
 *	  client COMMAND KEY=VALUE...
 *
 *	  load     conninfo table file [rows]
 *	           COPY BINARY of an fvecs file into table (id int4, v).
 *	  query    conninfo setup sql type queries truth k seconds
 *	           [connections] [at_least] [start] [warm_up] [radii]
 *	           Closed loop over the queries for so many seconds, and at least
 *	           so many queries; recall against the ids in truth (ivecs).
 *	  answers  conninfo setup sql type queries k out
 *	           Write the distances (the second column) of all queries as
 *	           native float8, k a query; a row that is missing is a NaN.
 *	  compare  conninfo setup sql type queries k answers [stride]
 *	           Compare the distances of all queries with the first k of each
 *	           stride in such a file, bit for bit and position by position.
 *
 *	  sql has one parameter, the query vector, and returns an int4 id and,
 *	  for the last two, a float8.  With radii, a file of one native float8 a
 *	  query, it has that as a second parameter.  The answer is one JSON object
 *	  on stdout.
 *
 * NOTES
 *	  Parameters and results are binary, and a query is encoded before the
 *	  clock starts.  The time of a query is that of PQexecPrepared, so it
 *	  has the way to the server and back in it and nothing else.  A query's
 *	  recall is counted the first time that it is asked.
 *
 * IDENTIFICATION
 *	  bench/client.c
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

/* a file of rows that begin with their length: fvecs, ivecs */
typedef struct Rows
{
	int			count;
	int			width;
	char	   *data;			/* count rows of width 4-byte values */
} Rows;

/* what all connections share; unchanging once they run */
typedef struct Bench
{
	const char *conninfo;
	const char *setup;
	const char *sql;
	Oid			type;
	int			k;
	int			queries;
	int			message_size;
	char	   *messages;		/* the queries, as the server receives them */
	char	   *radii;			/* a float8 a query in the same form, or NULL */
	Rows		truth;			/* count = 0: none */
	double		seconds;
	int			connections;
	long		at_least;
	long		start;
	long		warm_up;
	pthread_barrier_t ready;
} Bench;

/* one connection and what it found */
typedef struct Worker
{
	Bench	   *bench;
	int			number;
	pthread_t	thread;
	double	   *latencies;
	long		done;
	long		capacity;
	long		rows;			/* returned by the queries that were timed */
	double		elapsed;
	double	   *recalls;		/* of the queries asked, in the order asked */
	long		asked;
	long		short_answers;
} Worker;

/* of the statement: the vector and, where there are radii, a radius */
#define PARAMETERS(bench)	((bench)->radii != NULL ? 2 : 1)

#define FLOAT8_OID	701

/* the share of queries that find less than this of their neighbours is told */
#define POOR_RECALL	0.8

static char **arguments;

/* ------------------------------------------------------------- small things */

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "client: %s: %s\n", what, why);
	exit(1);
}

static void *
allocate(size_t size)
{
	void	   *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		fail("memory", "there is not enough");
	return memory;
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

/* the value of KEY=VALUE, or the default; without one the key must be there */
static const char *
argument(const char *key, const char *otherwise)
{
	size_t		length = strlen(key);

	for (char **a = arguments; *a != NULL; a++)
		if (strncmp(*a, key, length) == 0 && (*a)[length] == '=')
			return *a + length + 1;
	if (otherwise == NULL)
		fail(key, "this argument is missing");
	return otherwise;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* the value below which the given share of the sorted values lies */
static double
percentile(const double *sorted, long count, double share)
{
	long		position = (long) (share * count);

	if (count == 0)
		return NAN;
	return sorted[position < count ? position : count - 1];
}

/* -------------------------------------------------------------------- files */

static FILE *
open_file(const char *path, const char *mode)
{
	FILE	   *file = fopen(path, mode);

	if (file == NULL)
		fail(path, "cannot open it");
	return file;
}

/* reads one row into *row, which is made on the first call; false at the end */
static bool
read_row(FILE *file, const char *path, int32_t *width, char **row)
{
	int32_t		here;

	if (fread(&here, 4, 1, file) != 1)
		return false;
	if (here <= 0 || here > 65535 || (*row != NULL && here != *width))
		fail(path, "rows of different or impossible length");
	if (*row == NULL)
		*row = allocate(4 * (size_t) here);
	*width = here;
	if (fread(*row, 4, here, file) != (size_t) here)
		fail(path, "it ends in the middle of a row");
	return true;
}

static Rows
read_rows(const char *path)
{
	FILE	   *file = open_file(path, "rb");
	Rows		rows = {0};
	int32_t		width = 0;
	char	   *row = NULL;
	int			capacity = 0;

	while (read_row(file, path, &width, &row))
	{
		size_t		size = 4 * (size_t) width;

		if (rows.count == capacity)
		{
			capacity = capacity == 0 ? 1024 : 2 * capacity;
			rows.data = realloc(rows.data, capacity * size);
			if (rows.data == NULL)
				fail(path, "there is not enough memory");
		}
		memcpy(rows.data + rows.count++ * size, row, size);
	}
	rows.width = width;
	free(row);
	fclose(file);
	if (rows.count == 0)
		fail(path, "it is empty");
	return rows;
}

/* ------------------------------------------------------------------- server */

static PGconn *
connect_to(const char *conninfo)
{
	PGconn	   *connection = PQconnectdb(conninfo);

	if (PQstatus(connection) != CONNECTION_OK)
		fail("connect", PQerrorMessage(connection));
	return connection;
}

static PGresult *
checked(PGconn *connection, PGresult *result, const char *what)
{
	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_EMPTY_QUERY:
		case PGRES_COPY_IN:
			return result;
		default:
			fail(what, PQerrorMessage(connection));
			return NULL;
	}
}

/* a vector's wire form: dimensions, a zero, the elements; returns its size */
static int
encode(const char *elements, int dimensions, char *message)
{
	uint16_t	head[2] = {htons((uint16_t) dimensions), 0};

	memcpy(message, head, 4);
	for (int i = 0; i < dimensions; i++)
	{
		uint32_t	bits;

		memcpy(&bits, elements + 4 * i, 4);
		bits = htonl(bits);
		memcpy(message + 4 + 4 * i, &bits, 4);
	}
	return 4 + 4 * dimensions;
}

/* a float8 a query, in the wire's byte order */
static char *
read_radii(const char *path, int queries)
{
	FILE	   *file = open_file(path, "rb");
	uint64_t   *radii = allocate(queries * sizeof(uint64_t));

	if (fread(radii, sizeof(uint64_t), queries, file) != (size_t) queries)
		fail(path, "it has fewer radii than there are queries");
	fclose(file);
	for (int i = 0; i < queries; i++)
	{
		uint32_t	halves[2] = {htonl((uint32_t) (radii[i] >> 32)), htonl((uint32_t) radii[i])};

		memcpy(&radii[i], halves, sizeof(halves));
	}
	return (char *) radii;
}

static PGconn *
open_session(Bench *bench)
{
	PGconn	   *connection = connect_to(bench->conninfo);
	Oid			types[2] = {bench->type, FLOAT8_OID};

	PQclear(checked(connection, PQexec(connection, bench->setup), "setup"));
	PQclear(checked(connection,
					PQprepare(connection, "knn", bench->sql, PARAMETERS(bench), types),
					"prepare"));
	return connection;
}

static PGresult *
ask(Bench *bench, PGconn *connection, long query)
{
	size_t		number = query % bench->queries;
	const char *values[2] = {bench->messages + number * bench->message_size, NULL};
	const int	sizes[2] = {bench->message_size, sizeof(double)};
	const int	binary[2] = {1, 1};

	if (bench->radii != NULL)
		values[1] = bench->radii + number * sizeof(double);
	return checked(connection,
				   PQexecPrepared(connection, "knn", PARAMETERS(bench), values,
								  sizes, binary, 1),
				   "query");
}

static Oid
lookup_type(const char *conninfo, const char *name)
{
	PGconn	   *connection = connect_to(conninfo);
	PGresult   *result = checked(connection,
								 PQexecParams(connection, "SELECT $1::regtype::oid", 1,
											  NULL, &name, NULL, NULL, 0),
								 "type");
	Oid			type = (Oid) strtoul(PQgetvalue(result, 0, 0), NULL, 10);

	PQclear(result);
	PQfinish(connection);
	return type;
}

/* the arguments that all commands but load have */
static Bench
make_bench(void)
{
	Bench		bench = {0};
	Rows		queries = read_rows(argument("queries", NULL));

	bench.conninfo = argument("conninfo", NULL);
	bench.setup = argument("setup", "");
	bench.sql = argument("sql", NULL);
	bench.k = atoi(argument("k", NULL));
	bench.type = lookup_type(bench.conninfo, argument("type", NULL));
	bench.queries = queries.count;
	bench.message_size = 4 + 4 * queries.width;
	bench.messages = allocate((size_t) bench.message_size * queries.count);
	for (int i = 0; i < queries.count; i++)
		encode(queries.data + 4 * (size_t) i * queries.width, queries.width,
			   bench.messages + i * (size_t) bench.message_size);
	free(queries.data);
	if (*argument("radii", "") != '\0')
		bench.radii = read_radii(argument("radii", ""), bench.queries);
	return bench;
}

/* --------------------------------------------------------------------- load */

static int
command_load(void)
{
	const char *path = argument("file", NULL);
	long		limit = atol(argument("rows", "2147483647"));
	PGconn	   *connection = connect_to(argument("conninfo", NULL));
	FILE	   *file = open_file(path, "rb");
	char		copy[256];
	int32_t		width = 0;
	char	   *row = NULL;
	char	   *tuple = NULL;
	long		count = 0;
	double		begin = now();

	snprintf(copy, sizeof(copy), "COPY %s (id, v) FROM STDIN (FORMAT binary)",
			 argument("table", NULL));
	PQclear(checked(connection, PQexec(connection, copy), "copy"));
	PQputCopyData(connection, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
	while (count < limit && read_row(file, path, &width, &row))
	{
		uint16_t	fields = htons(2);
		uint32_t	head[3] = {htonl(4), htonl((uint32_t) count), htonl(4 + 4 * width)};

		if (tuple == NULL)
			tuple = allocate(18 + 4 * (size_t) width);
		memcpy(tuple, &fields, 2);
		memcpy(tuple + 2, head, 12);
		encode(row, width, tuple + 14);
		if (PQputCopyData(connection, tuple, 18 + 4 * width) != 1)
			fail("copy", PQerrorMessage(connection));
		count++;
	}
	PQputCopyData(connection, "\377\377", 2);
	if (PQputCopyEnd(connection, NULL) != 1)
		fail("copy", PQerrorMessage(connection));
	PQclear(checked(connection, PQgetResult(connection), "copy"));
	PQfinish(connection);
	fclose(file);
	free(row);
	free(tuple);
	printf("{\"rows\": %ld, \"seconds\": %.2f}\n", count, now() - begin);
	return 0;
}

/* -------------------------------------------------------------------- query */

/* the share of the true neighbours that an answer has */
static double
answer_recall(Bench *bench, long query, PGresult *result)
{
	const char *truth = bench->truth.data + 4 * (query % bench->queries) * (size_t) bench->truth.width;
	int			hits = 0;

	for (int i = 0; i < PQntuples(result) && i < bench->k; i++)
	{
		uint32_t	bits;
		int32_t		id;

		memcpy(&bits, PQgetvalue(result, i, 0), 4);
		bits = ntohl(bits);
		memcpy(&id, &bits, 4);
		for (int j = 0; j < bench->k; j++)
		{
			if (memcmp(truth + 4 * j, &id, 4) == 0)
			{
				hits++;
				break;
			}
		}
	}
	return (double) hits / bench->k;
}

static void
record_latency(Worker *worker, double latency)
{
	if (worker->done == worker->capacity)
	{
		worker->capacity = worker->capacity == 0 ? 4096 : 2 * worker->capacity;
		worker->latencies = realloc(worker->latencies, worker->capacity * sizeof(double));
		if (worker->latencies == NULL)
			fail("memory", "there is not enough");
	}
	worker->latencies[worker->done++] = latency;
}

static void *
run_worker(void *argument)
{
	Worker	   *worker = argument;
	Bench	   *bench = worker->bench;
	PGconn	   *connection = open_session(bench);
	double		begin;

	for (long i = 0; i < bench->warm_up; i++)
		PQclear(ask(bench, connection, bench->start + i));
	pthread_barrier_wait(&bench->ready);
	begin = now();
	for (long i = worker->number;; i += bench->connections)
	{
		double		asked = now();
		PGresult   *result;

		if (i >= bench->at_least && asked - begin >= bench->seconds)
			break;
		result = ask(bench, connection, bench->start + i);
		record_latency(worker, now() - asked);
		worker->rows += PQntuples(result);
		if (bench->truth.count > 0 && i < bench->queries)
		{
			worker->recalls[worker->asked++] = answer_recall(bench, bench->start + i, result);
			if (PQntuples(result) < bench->k)
				worker->short_answers++;
		}
		PQclear(result);
	}
	worker->elapsed = now() - begin;
	PQfinish(connection);
	return NULL;
}

/* puts the workers' results together and prints them */
static void
report_query(Bench *bench, Worker *workers)
{
	Worker		all = {0};
	double	   *recalls = allocate(bench->queries * sizeof(double));
	double		sum = 0;
	double		rate = 0;
	long		below = 0;

	for (int i = 0; i < bench->connections; i++)
	{
		Worker	   *worker = &workers[i];

		for (long j = 0; j < worker->done; j++)
			record_latency(&all, worker->latencies[j]);
		for (long j = 0; j < worker->asked; j++)
		{
			sum += worker->recalls[j];
			recalls[all.asked++] = worker->recalls[j];
		}
		all.short_answers += worker->short_answers;
		all.rows += worker->rows;
		rate += worker->done / worker->elapsed;
	}
	qsort(all.latencies, all.done, sizeof(double), compare_doubles);
	qsort(recalls, all.asked, sizeof(double), compare_doubles);
	while (below < all.asked && recalls[below] < POOR_RECALL)
		below++;
	printf("{\"queries\": %ld, \"rows\": %.1f, \"qps\": %.3f, \"p50_us\": %.1f, \"p95_us\": %.1f, \"p99_us\": %.1f",
		   all.done, (double) all.rows / all.done, rate, percentile(all.latencies, all.done, 0.5) * 1e6,
		   percentile(all.latencies, all.done, 0.95) * 1e6,
		   percentile(all.latencies, all.done, 0.99) * 1e6);
	if (all.asked > 0)
		printf(", \"recall\": %.5f, \"recall_p05\": %.3f, \"below_80\": %.4f, \"recall_queries\": %ld, \"short\": %ld",
			   sum / all.asked, percentile(recalls, all.asked, 0.05), (double) below / all.asked,
			   all.asked, all.short_answers);
	printf("}\n");
	free(all.latencies);
	free(recalls);
}

static int
command_query(void)
{
	Bench		bench = make_bench();
	const char *truth = argument("truth", "");
	Worker	   *workers;

	if (*truth != '\0')
		bench.truth = read_rows(truth);
	if (bench.truth.count > 0 && (bench.truth.count < bench.queries || bench.truth.width < bench.k))
		fail(truth, "it has fewer rows or columns than asked for");
	bench.seconds = atof(argument("seconds", NULL));
	bench.connections = atoi(argument("connections", "1"));
	bench.at_least = atol(argument("at_least", "1"));
	bench.start = atol(argument("start", "0"));
	bench.warm_up = atol(argument("warm_up", "0"));
	if (bench.connections < 1)
		fail("connections", "there must be at least one");
	pthread_barrier_init(&bench.ready, NULL, bench.connections);
	workers = allocate(bench.connections * sizeof(Worker));
	for (int i = 0; i < bench.connections; i++)
	{
		workers[i].bench = &bench;
		workers[i].number = i;
		workers[i].recalls = allocate(bench.queries * sizeof(double));
		if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0)
			fail("thread", "cannot start it");
	}
	for (int i = 0; i < bench.connections; i++)
		pthread_join(workers[i].thread, NULL);
	report_query(&bench, workers);
	return 0;
}

/* ------------------------------------------------------ answers and compare */

/* the distances of an answer, NaN where there is no row; returns the rows */
static int
read_distances(Bench *bench, PGresult *result, double *distances)
{
	int			rows = PQntuples(result);

	if (PQnfields(result) < 2)
		fail("sql", "it has no second column");
	for (int i = 0; i < bench->k; i++)
	{
		uint64_t	bits = 0;

		distances[i] = NAN;
		if (i >= rows || PQgetisnull(result, i, 1))
			continue;
		if (PQgetlength(result, i, 1) != 8)
			fail("sql", "its second column is not a float8");
		for (int j = 0; j < 8; j++)
			bits = bits << 8 | (unsigned char) PQgetvalue(result, i, 1)[j];
		memcpy(&distances[i], &bits, 8);
	}
	return rows;
}

static int
command_answers(void)
{
	Bench		bench = make_bench();
	const char *path = argument("out", NULL);
	FILE	   *file = open_file(path, "wb");
	PGconn	   *connection = open_session(&bench);
	double	   *distances = allocate(bench.k * sizeof(double));
	double		begin = now();

	for (int query = 0; query < bench.queries; query++)
	{
		PGresult   *result = ask(&bench, connection, query);

		read_distances(&bench, result, distances);
		PQclear(result);
		if (fwrite(distances, sizeof(double), bench.k, file) != (size_t) bench.k)
			fail(path, "cannot write it");
	}
	if (fclose(file) != 0)
		fail(path, "cannot write it");
	PQfinish(connection);
	free(distances);
	printf("{\"queries\": %d, \"k\": %d, \"seconds\": %.2f}\n",
		   bench.queries, bench.k, now() - begin);
	return 0;
}

static int
command_compare(void)
{
	Bench		bench = make_bench();
	const char *path = argument("answers", NULL);
	int			stride = atoi(argument("stride", argument("k", NULL)));
	FILE	   *file = open_file(path, "rb");
	PGconn	   *connection = open_session(&bench);
	double	   *expected = allocate(stride * sizeof(double));
	double	   *found = allocate(bench.k * sizeof(double));
	int			wrong_queries = 0;
	long		wrong_rows = 0;
	double		begin = now();

	if (stride < bench.k)
		fail("stride", "it is smaller than k");
	for (int query = 0; query < bench.queries; query++)
	{
		PGresult   *result = ask(&bench, connection, query);
		int			rows = read_distances(&bench, result, found);
		long		wrong = 0;

		PQclear(result);
		if (fread(expected, sizeof(double), stride, file) != (size_t) stride)
			fail(path, "it has fewer answers than there are queries");
		for (int i = 0; i < bench.k; i++)
		{
			if (memcmp(&expected[i], &found[i], sizeof(double)) == 0 ||
				(isnan(expected[i]) && isnan(found[i])))
				continue;
			if (wrong_queries == 0 && wrong == 0)
				fprintf(stderr, "client: query %d, row %d of %d: %.17g instead of %.17g\n",
						query, i + 1, rows, found[i], expected[i]);
			wrong++;
		}
		wrong_queries += wrong > 0;
		wrong_rows += wrong;
	}
	fclose(file);
	PQfinish(connection);
	free(expected);
	free(found);
	printf("{\"queries\": %d, \"k\": %d, \"wrong_queries\": %d, \"wrong_rows\": %ld, \"seconds\": %.2f}\n",
		   bench.queries, bench.k, wrong_queries, wrong_rows, now() - begin);
	return 0;
}

static const struct
{
	const char *name;
	int			(*run) (void);
}			commands[] = {
	{"load", command_load},
	{"query", command_query},
	{"answers", command_answers},
	{"compare", command_compare},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(argv[1], commands[i].name) == 0)
		{
			arguments = argv + 2;
			return commands[i].run();
		}
	}
	fprintf(stderr, "usage: client load|query|answers|compare KEY=VALUE...\n");
	return 2;
}
