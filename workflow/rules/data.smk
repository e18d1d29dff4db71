"""From sources of photographs to training shards.

REQUIRED INPUTS:
    config["data"]                          which sources, filters, sizes and split

OUTPUTS:
    results/data/sources.csv                every file offered, with licence and digest
    results/data/measures.csv               what filters judge, and perceptual hashes
    results/data/catalog.csv                every image with its verdict and all reasons
    results/data/shards/shard-NNNNN.h5      the training pictures
    results/data/shards.csv                 the shards with their digests
    results/data/split.csv                  train, val, test
    results/data/moves.csv                  pictures that changed split, ever since the first
    results/data/audit.json                 what splits and evaluation folders share
"""


rule download:
    input:
        code=code("download"),
    output:
        sources="results/data/sources.csv",
    log:
        "results/logs/download.log",
    benchmark:
        "results/benchmarks/download.tsv"
    conda:
        ENVIRONMENT
    params:
        sources=literally(inline(DATA["sources"])),
        digests=source_digests,
        images="results/data/images",
    shell:
        r"""
        python {input.code[0]:q} \
            --sources {params.sources:q} \
            --images {params.images:q} \
            --out {output.sources:q} \
            --allow-rejects \
            --log {log:q}
        """


rule measure:
    input:
        code=code("measure"),
        sources="results/data/sources.csv",
    output:
        measures="results/data/measures.csv",
    log:
        "results/logs/measure.log",
    benchmark:
        "results/benchmarks/measure.tsv"
    conda:
        ENVIRONMENT
    threads: 64
    shell:
        r"""
        python {input.code[0]:q} \
            --sources {input.sources:q} \
            --threads {threads} \
            --out {output.measures:q} \
            --allow-rejects \
            --log {log:q}
        """


# A checkpoint: how many images are kept decides how many shards there are.
checkpoint filter:
    input:
        code=code("filter"),
        sources="results/data/sources.csv",
        measures="results/data/measures.csv",
    output:
        catalog="results/data/catalog.csv",
    log:
        "results/logs/filter.log",
    conda:
        ENVIRONMENT
    params:
        filters=literally(inline(DATA["filters"])),
        near_bits=inline(DATA["near_duplicate_bits"]),
        licences=literally(inline(DATA["licences"])),
    shell:
        r"""
        python {input.code[0]:q} \
            --sources {input.sources:q} \
            --measures {input.measures:q} \
            --filters {params.filters:q} \
            --near-bits {params.near_bits} \
            --licences {params.licences:q} \
            --out {output.catalog:q} \
            --log {log:q}
        """


rule normalize:
    input:
        code=code("normalize"),
        catalog="results/data/catalog.csv",
    output:
        shard="results/data/shards/shard-{shard}.h5",
    log:
        "results/logs/normalize/shard-{shard}.log",
    benchmark:
        "results/benchmarks/normalize/shard-{shard}.tsv"
    conda:
        ENVIRONMENT
    params:
        size=DATA["size"],
        shard_size=DATA["shard_size"],
        index=lambda wildcards: int(wildcards.shard),
    shell:
        r"""
        python {input.code[0]:q} shard \
            --catalog {input.catalog:q} \
            --index {params.index} \
            --size {params.size} \
            --shard-size {params.shard_size} \
            --out {output.shard:q} \
            --log {log:q}
        """


rule index_shards:
    input:
        code=code("normalize"),
        shards=shard_files,
    output:
        table="results/data/shards.csv",
    log:
        "results/logs/index_shards.log",
    conda:
        ENVIRONMENT
    shell:
        r"""
        python {input.code[0]:q} index \
            --shards {input.shards:q} \
            --out {output.table:q} \
            --log {log:q}
        """


rule split:
    input:
        code=code("split"),
        catalog="results/data/catalog.csv",
        shards="results/data/shards.csv",
    output:
        # The table before is left in place for the job: old pictures stay where it has them.
        split=update("results/data/split.csv"),
        moves=update("results/data/moves.csv"),
    log:
        "results/logs/split.log",
    conda:
        ENVIRONMENT
    params:
        split=literally(inline(DATA["split"])),
    shell:
        r"""
        python {input.code[0]:q} \
            --catalog {input.catalog:q} \
            --shards {input.shards:q} \
            --split {params.split:q} \
            --moves {output.moves:q} \
            --out {output.split:q} \
            --log {log:q}
        """


rule audit:
    input:
        code=code("audit"),
        catalog="results/data/catalog.csv",
        split="results/data/split.csv",
    output:
        audit="results/data/audit.json",
    log:
        "results/logs/audit.log",
    benchmark:
        "results/benchmarks/audit.tsv"
    conda:
        ENVIRONMENT
    threads: 64
    params:
        near_bits=inline(DATA["near_duplicate_bits"]),
        folders=audit_folders,
        digests=audit_digests,
    shell:
        r"""
        python {input.code[0]:q} \
            --catalog {input.catalog:q} \
            --split {input.split:q} \
            --near-bits {params.near_bits} \
            {params.folders:q} \
            --threads {threads} \
            --out {output.audit:q} \
            --log {log:q}
        """
