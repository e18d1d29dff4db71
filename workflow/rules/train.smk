"""From shards to a model, one job a phase; each phase starts from the weights of the one before.

REQUIRED INPUTS:
    results/data/shards.csv, split.csv, shards/         the training and validation pictures
    workflow/experiments/{experiment}.yaml              the recipe

OUTPUTS:
    results/models/{experiment}/{phase}/recipe.yaml     this phase with every default filled in
    results/models/{experiment}/{phase}/model.safetensors, log.jsonl, curves.svg,
                                                        strip.jpg

results/models/{experiment}/{phase}/resume/ holds checkpoints. It is no declared output, because
Snakemake deletes those of a failed or repeated job: a phase that was killed goes on from there.
"""


rule write_recipe:
    output:
        recipe="results/models/{experiment}/{phase}/recipe.yaml",
    log:
        "results/logs/write_recipe/{experiment}-{phase}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        recipe=recipe,
    shell:
        "printf '%s\\n' {params.recipe:q} > {output.recipe:q} 2> {log:q}"


rule train_phase:
    input:
        code=code("train"),
        recipe="results/models/{experiment}/{phase}/recipe.yaml",
        table="results/data/shards.csv",
        shards=shard_files,
        split="results/data/split.csv",
        parent=parent,
        # For the curves alone: other times in them are no reason to train again.
        before=ancient(logs_before),
    output:
        model="results/models/{experiment}/{phase}/model.safetensors",
        history="results/models/{experiment}/{phase}/log.jsonl",
        curves="results/models/{experiment}/{phase}/curves.svg",
        strip="results/models/{experiment}/{phase}/strip.jpg",
    log:
        "results/logs/train/{experiment}-{phase}.log",
    benchmark:
        "results/benchmarks/train/{experiment}-{phase}.tsv"
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        gpu=1,
        # How often training saves itself, by time and, unless 0, by steps; --set-resources changes
        # both and reruns nothing.
        checkpoint_seconds=30,
        checkpoint_steps=0,
        # Whether the pictures stay on the GPU (auto: when half of its free memory holds them), and
        # how many processes read them from the shards; with 0 they are held in memory.
        resident="auto",
        workers=0,
        # What later phases need is asked for before the first one trains; like the above, a change
        # of it reruns nothing.
        parts=parts_of_experiment,
    params:
        parent=lambda wildcards, input: (
            f"--parent {input.parent}" if input.parent else ""
        ),
        history=lambda wildcards, input: (
            ["--history", *input.before] if input.before else []
        ),
        folder=subpath(output.model, parent=True),
        resume=lambda wildcards, output: f"{os.path.dirname(output.model)}/resume",
    shell:
        # Several GPUs (--resources gpu=4 --set-resources train_phase:gpu=4): a process for each.
        r"""
        launch=(python)
        processes=1
        if [ {resources.gpu} -gt 1 ]; then
            processes={resources.gpu}
            launch=(torchrun --standalone --nproc-per-node $processes --)
        fi
        "${{launch[@]}}" {input.code[0]:q} \
            --recipe {input.recipe:q} \
            --shards {input.table:q} \
            --split {input.split:q} \
            {params.parent} \
            {params.history:q} \
            --out {params.folder:q} \
            --resume {params.resume:q} \
            --checkpoint-seconds {resources.checkpoint_seconds} \
            --checkpoint-steps {resources.checkpoint_steps} \
            --resident {resources.resident} \
            --workers {resources.workers} \
            --require-parts {resources.parts} \
            --threads $(({threads} > processes ? {threads} / processes : 1)) \
            --log {log:q}
        """
