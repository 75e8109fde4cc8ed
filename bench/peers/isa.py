"""Refuses a ratio against a rival that was built without an instruction set that stocha uses.

llama.cpp with AMX or VNNI compiled out runs at half its speed, and any engine looks twice as good.
"""

# What stocha's bench names in machine.isa and machine.features: llama.cpp's name in its system info.
LLAMA_CPP_NAMES = {
    "scalar": None,
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx_vnni": "AVX_VNNI",
    "avx512": "AVX512",
    "avx512f": "AVX512",
    "avx512bw": "AVX512",
    "avx512dq": "AVX512",
    "avx512vl": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_vbmi": "AVX512_VBMI",
    "avx512_bf16": "AVX512_BF16",
    "amx": "AMX_INT8",
    "amx_tile": "AMX_INT8",
    "amx_int8": "AMX_INT8",
    "amx_bf16": "AMX_INT8",
    "neon": "NEON",
    "dotprod": "DOTPROD",
    "i8mm": "MATMUL_INT8",
}


def parse_system_info(text: str) -> dict[str, int]:
    """'CPU : AVX2 = 1 | AMX_INT8 = 0 |' as {name: value}."""
    features = {}
    for part in text.replace(":", "|").split("|"):
        name, equals, value = part.partition("=")
        if equals and value.strip().isdigit():
            features[name.strip()] = int(value)
    return features


def reason_to_withhold(stocha_machine: dict, system_info: str) -> str | None:
    """Why a ratio against that build of llama.cpp says nothing; None when it is fair."""
    used = [stocha_machine.get("isa", ""), *stocha_machine.get("features", [])]
    features = parse_system_info(system_info)
    for name in used:
        if name not in LLAMA_CPP_NAMES:
            return f"stocha uses {name or 'an unnamed ISA'}, whose name in llama.cpp is not known"
        counterpart = LLAMA_CPP_NAMES[name]
        if counterpart and not features.get(counterpart):
            return f"llama.cpp was built without {counterpart}, which stocha uses"
    return None
