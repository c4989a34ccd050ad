/*-------------------------------------------------------------------------
 *
 * amx_emulate.c
 *	  AMX for CPUs without it: catch the illegal instruction, do its work.
 *
 * NOTES
 *	  The kernels under test are the machine code that runs on an AMX CPU; only
 *	  what the CPU refuses is done here.  A signal costs a microsecond or more, so
 *	  the handler goes on for as long as the next instruction is another of
 *	  AMX.
 *
 *	  Whatever the hardware faults on (no configuration, a shape that does not
 *	  fit, equal registers) is handed to the handler that was there before, as
 *	  every other illegal instruction is.  A configuration with a start row is
 *	  refused, too: kernels have no use for it.  One thread only.
 *
 *	  TDPBF16PS follows the published operation: even and odd products gather
 *	  apart by fused multiply-add, are added to each other and then to the sum;
 *	  each step rounds to nearest even, denormals count as zero on both ends.
 *
 * IDENTIFICATION
 *	  test/kernels/amx_emulate.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE				/* registers of ucontext.h */

#include "check.h"

#if defined(__x86_64__) && defined(__linux__)

#include <float.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#define TILES		8
#define TILE_ROWS	16
#define ROW_BYTES	64

/* what LDTILECFG reads */
typedef struct TileConfig
{
	uint8_t		palette;
	uint8_t		start_row;
	uint8_t		reserved[14];
	uint16_t	row_bytes[16];
	uint8_t		rows[16];
} TileConfig;

_Static_assert(sizeof(TileConfig) == 64, "a configuration has 64 bytes");

typedef struct Tile
{
	uint8_t		row[TILE_ROWS][ROW_BYTES];
} Tile;

/* palette 0: nothing is configured */
static TileConfig config;
static Tile tiles[TILES];
static struct sigaction handler_before;

/* One instruction: VEX prefix, opcode and operands, decoded */
typedef struct Instruction
{
	int			prefix;			/* VEX.pp: 0 none, 1 66, 2 F3, 3 F2 */
	int			opcode;
	int			reg;			/* ModRM.reg */
	int			rm;				/* ModRM.rm of a register operand */
	int			vvvv;
	bool		memory;			/* operand at address, else register rm */
	bool		sib;
	uint8_t    *address;		/* base and displacement */
	ptrdiff_t	stride;			/* scaled index: part of an address, or a row's step */
	int			length;
} Instruction;

/* ---------- decoding ---------- */

/* general registers in the order of their encoding */
static const int registers[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static int64_t
general_register(const ucontext_t *context, int number)
{
	return context->uc_mcontext.gregs[registers[number]];
}

static int64_t
read_displacement(const uint8_t *code, int size)
{
	int8_t		byte;
	int32_t		dword;

	if (size == 1)
	{
		memcpy(&byte, code, sizeof(byte));
		return byte;
	}
	memcpy(&dword, code, sizeof(dword));
	return size == 4 ? dword : 0;
}

/*
 * The memory operand whose ModRM byte is code[0]; rex_x and rex_b are 8 or 0.
 * Returns the bytes read.
 */
static int
decode_address(const ucontext_t *context, const uint8_t *code, int rex_x,
			   int rex_b, Instruction *in)
{
	int			mod = code[0] >> 6;
	int			base = code[0] & 7;
	int			used = 1;
	int			displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	int64_t		address = 0;

	in->sib = base == 4;
	if (in->sib)
	{
		int			index = (code[1] >> 3 & 7) | rex_x;

		base = code[1] & 7;
		used = 2;
		if (index != 4)			/* which stands for no index */
			in->stride = general_register(context, index) *
				(1 << (code[1] >> 6));
	}
	if (base == 5 && mod == 0)
	{
		displacement = 4;
		if (!in->sib)			/* relative to what follows; no immediate does */
			address = (int64_t) (intptr_t) (code + used + 4);
	}
	else
		address = general_register(context, base | rex_b);
	address += read_displacement(code + used, displacement);
	in->address = (uint8_t *) (intptr_t) address;
	return used + displacement;
}

/* false where the code is not a three-byte VEX prefix as AMX uses it */
static bool
decode(const ucontext_t *context, const uint8_t *code, Instruction *in)
{
	int			rex_r;

	/* map 0F38; W and L are 0 */
	if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0)
		return false;
	memset(in, 0, sizeof(*in));
	rex_r = code[1] & 0x80 ? 0 : 8;
	in->prefix = code[2] & 3;
	in->vvvv = ~code[2] >> 3 & 15;
	in->opcode = code[3];
	in->reg = (code[4] >> 3 & 7) | rex_r;
	in->memory = code[4] >> 6 != 3;
	if (in->memory)
		in->length = 4 + decode_address(context, code + 4,
										code[1] & 0x40 ? 0 : 8,
										code[1] & 0x20 ? 0 : 8, in);
	else
	{
		in->rm = (code[4] & 7) | (code[1] & 0x20 ? 0 : 8);
		in->length = 5;
	}
	return true;
}

/* ---------- configuration and moves ---------- */

static bool
load_config(const Instruction *in)
{
	TileConfig	wanted;

	memcpy(&wanted, in->address + in->stride, sizeof(wanted));
	if (wanted.palette == 0)
		memset(&wanted, 0, sizeof(wanted));
	else if (wanted.palette != 1 || wanted.start_row != 0)
		return false;
	for (size_t i = 0; i < sizeof(wanted.reserved); i++)
		if (wanted.reserved[i] != 0)
			return false;
	for (int t = 0; t < 16; t++)
		if (wanted.rows[t] > (t < TILES ? TILE_ROWS : 0) ||
			wanted.row_bytes[t] > (t < TILES ? ROW_BYTES : 0) ||
			(wanted.rows[t] == 0) != (wanted.row_bytes[t] == 0))
			return false;
	config = wanted;
	memset(tiles, 0, sizeof(tiles));
	return true;
}

static bool
store_config(const Instruction *in)
{
	memcpy(in->address + in->stride, &config, sizeof(config));
	return true;
}

static bool
configured(int tile)
{
	return config.palette == 1 && tile < TILES && config.rows[tile] > 0;
}

static bool
release(void)
{
	memset(&config, 0, sizeof(config));
	memset(tiles, 0, sizeof(tiles));
	return true;
}

static bool
zero(const Instruction *in)
{
	if (!configured(in->reg))
		return false;
	memset(&tiles[in->reg], 0, sizeof(Tile));
	return true;
}

static bool
load(const Instruction *in)
{
	if (!configured(in->reg) || !in->sib)
		return false;
	memset(&tiles[in->reg], 0, sizeof(Tile));
	for (int r = 0; r < config.rows[in->reg]; r++)
		memcpy(tiles[in->reg].row[r], in->address + r * in->stride,
			   config.row_bytes[in->reg]);
	return true;
}

static bool
store(const Instruction *in)
{
	if (!configured(in->reg) || !in->sib)
		return false;
	for (int r = 0; r < config.rows[in->reg]; r++)
		memcpy(in->address + r * in->stride, tiles[in->reg].row[r],
			   config.row_bytes[in->reg]);
	return true;
}

/* ---------- products ---------- */

/* the three tiles exist, differ and fit each other */
static bool
multipliable(const Instruction *in)
{
	int			sum = in->reg;
	int			a = in->rm;
	int			b = in->vvvv;

	return configured(sum) && configured(a) && configured(b) &&
		sum != a && sum != b && a != b &&
		config.row_bytes[sum] % 4 == 0 && config.row_bytes[a] % 4 == 0 &&
		config.rows[sum] == config.rows[a] &&
		config.row_bytes[sum] == config.row_bytes[b] &&
		config.rows[b] == config.row_bytes[a] / 4;
}

/* a row of bytes as numbers */
static void
widen_row(const uint8_t *row, bool is_signed, int16_t *out)
{
	for (int i = 0; i < ROW_BYTES; i++)
		out[i] = is_signed ? (int8_t) row[i] : row[i];
}

static bool
multiply_bytes(const Instruction *in, bool a_signed, bool b_signed)
{
	int16_t		b[TILE_ROWS][ROW_BYTES];

	if (!multipliable(in))
		return false;
	for (int k = 0; k < TILE_ROWS; k++)
		widen_row(tiles[in->vvvv].row[k], b_signed, b[k]);
	for (int m = 0; m < config.rows[in->reg]; m++)
	{
		int16_t		a[ROW_BYTES];
		uint32_t	sum[ROW_BYTES / 4];

		widen_row(tiles[in->rm].row[m], a_signed, a);
		memcpy(sum, tiles[in->reg].row[m], sizeof(sum));
		for (int k = 0; k < config.rows[in->vvvv]; k++)
			for (int n = 0; n < ROW_BYTES / 4; n++)
				for (int i = 0; i < 4; i++)
					sum[n] += (uint32_t) (a[4 * k + i] * b[k][4 * n + i]);
		memset(tiles[in->reg].row[m], 0, ROW_BYTES);
		memcpy(tiles[in->reg].row[m], sum, config.row_bytes[in->reg]);
	}
	return true;
}

static float
flush(float x)
{
	return fabsf(x) < FLT_MIN ? copysignf(0.0f, x) : x;
}

/* the upper half of a float */
static float
widen_bf16(const uint8_t *at)
{
	uint8_t		bytes[4] = {0, 0, at[0], at[1]};
	float		x;

	memcpy(&x, bytes, sizeof(x));
	return flush(x);
}

static bool
multiply_bf16(const Instruction *in)
{
	float		b[TILE_ROWS][ROW_BYTES / 2];

	if (!multipliable(in))
		return false;
	for (int k = 0; k < TILE_ROWS; k++)
		for (int i = 0; i < ROW_BYTES / 2; i++)
			b[k][i] = widen_bf16(&tiles[in->vvvv].row[k][2 * i]);
	for (int m = 0; m < config.rows[in->reg]; m++)
	{
		const uint8_t *a = tiles[in->rm].row[m];
		float		products[ROW_BYTES / 2] = {0};
		float		sum[ROW_BYTES / 4];

		for (int k = 0; k < config.rows[in->vvvv]; k++)
			for (int i = 0; i < ROW_BYTES / 2; i++)
				products[i] = flush(fmaf(widen_bf16(a + 4 * k + 2 * (i % 2)),
										 b[k][i], products[i]));
		memcpy(sum, tiles[in->reg].row[m], sizeof(sum));
		for (int n = 0; n < ROW_BYTES / 4; n++)
			sum[n] = flush(flush(sum[n]) +
						   flush(products[2 * n] + products[2 * n + 1]));
		memset(tiles[in->reg].row[m], 0, ROW_BYTES);
		memcpy(tiles[in->reg].row[m], sum, config.row_bytes[in->reg]);
	}
	return true;
}

/* ---------- the handler ---------- */

enum
{
	NO_PREFIX, PREFIX_66, PREFIX_F3, PREFIX_F2
};

/* false where it is not an AMX instruction or the hardware would fault */
static bool
execute(const Instruction *in)
{
	switch (in->opcode << 4 | in->memory << 2 | in->prefix)
	{
		case 0x49 << 4 | 4 | NO_PREFIX:	/* LDTILECFG */
			return in->reg == 0 && in->vvvv == 0 && load_config(in);
		case 0x49 << 4 | 4 | PREFIX_66: /* STTILECFG */
			return in->reg == 0 && in->vvvv == 0 && store_config(in);
		case 0x49 << 4 | NO_PREFIX: /* TILERELEASE */
			return in->reg == 0 && in->rm == 0 && in->vvvv == 0 && release();
		case 0x49 << 4 | PREFIX_F2: /* TILEZERO */
			return in->rm == 0 && in->vvvv == 0 && zero(in);
		case 0x4b << 4 | 4 | PREFIX_F2: /* TILELOADD */
		case 0x4b << 4 | 4 | PREFIX_66: /* TILELOADDT1 */
			return in->vvvv == 0 && load(in);
		case 0x4b << 4 | 4 | PREFIX_F3: /* TILESTORED */
			return in->vvvv == 0 && store(in);
		case 0x5c << 4 | PREFIX_F3: /* TDPBF16PS */
			return multiply_bf16(in);
		case 0x5e << 4 | PREFIX_F2: /* TDPBSSD */
			return multiply_bytes(in, true, true);
		case 0x5e << 4 | PREFIX_F3: /* TDPBSUD */
			return multiply_bytes(in, true, false);
		case 0x5e << 4 | PREFIX_66: /* TDPBUSD */
			return multiply_bytes(in, false, true);
		case 0x5e << 4 | NO_PREFIX: /* TDPBUUD */
			return multiply_bytes(in, false, false);
		default:
			return false;
	}
}

static void
pass_on(int number, siginfo_t *info, void *context)
{
	if (handler_before.sa_flags & SA_SIGINFO)
		handler_before.sa_sigaction(number, info, context);
	else if (handler_before.sa_handler != SIG_DFL &&
			 handler_before.sa_handler != SIG_IGN)
		handler_before.sa_handler(number);
	else						/* the instruction runs again, and nobody is there */
		signal(number, SIG_DFL);
}

static void
on_illegal_instruction(int number, siginfo_t *info, void *context)
{
	greg_t	   *at = &((ucontext_t *) context)->uc_mcontext.gregs[REG_RIP];
	Instruction in;
	bool		done = false;

	while (decode(context, (const uint8_t *) (intptr_t) *at, &in) && execute(&in))
	{
		*at += in.length;
		done = true;
	}
	if (!done)
		pass_on(number, info, context);
}

bool
vk_amx_emulate_install(void)
{
	struct sigaction action;

	/* where tile instructions run, what they do is out of sight here */
	if (vk_cpu_features() & VK_CPU_AMX_INT8)
		return false;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_illegal_instruction;
	action.sa_flags = SA_SIGINFO;
	return sigaction(SIGILL, &action, &handler_before) == 0;
}

#else

bool
vk_amx_emulate_install(void)
{
	return false;
}

#endif
