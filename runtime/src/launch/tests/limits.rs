//! Which kernels limits leave, and what is said where there are none.

use super::*;

#[test]
fn limits_leave_the_best_kernel_that_fits() {
    let device = Choice { subgroups: true, matrix: 16, ..exact() };
    let int8 = Choice { activations: Activations::Int8, ..device };
    let f16 = Choice { activations: Activations::F16, ..device };
    let with = |choice: Choice, change: fn(&mut Choice)| {
        let mut changed = choice;
        change(&mut changed);
        changed
    };
    let cases: [(Choice, [&str; 3]); 13] = [
        (device, ["matvec_f32", "matmul_f32", "matmul_f32"]),
        (int8, ["matvec_i8_subgroups", "batch_i8_subgroups", "matmul_i8"]),
        (with(int8, |c| c.subgroups = false), ["matvec_i8", "batch_i8", "matmul_i8"]),
        // Tiles have 256 invocations, those of exact products 128, all others 64.
        (
            with(int8, |c| c.limits.invocations = 128),
            ["matvec_i8_subgroups", "batch_i8_subgroups", "batch_i8_subgroups"],
        ),
        (
            with(int8, |c| c.limits.buffers = 4),
            ["matvec_i8_subgroups", "batch_i8_subgroups", "matmul_i8"],
        ),
        (f16, ["matvec_f32", "matmul_f32", "matmul_f16_matrix16"]),
        (with(f16, |c| c.matrix = 0), ["matvec_f32", "matmul_f32", "matmul_f32"]),
        (with(f16, |c| c.matrix = 8), ["matvec_f32", "matmul_f32", "matmul_f16_matrix8"]),
        (with(f16, |c| c.limits.invocations = 255), ["matvec_f32", "matmul_f32", "matmul_f32"]),
        (
            with(f16, |c| c.limits.workgroup_bytes = 16384),
            ["matvec_f32", "matmul_f32", "matmul_f32"],
        ),
        (
            with(device, |c| c.limits.invocations = 64),
            ["matvec_f32", "matvec_experts_f32", "matvec_experts_f32"],
        ),
        // A matrix that is chosen takes a buffer more.
        (
            with(device, |c| (c.limits.invocations, c.limits.buffers) = (64, 4)),
            ["matvec_f32", "matvec_f32", "matvec_f32"],
        ),
        // Shared among more invocations, rows take fewer turns.
        (
            with(device, |c| c.turns = 2048),
            ["matvec_f32", "matvec_experts_f32", "matvec_experts_f32"],
        ),
    ];
    // Gathering and mixtures bind numbers beside all else: a device that has no room for them is told of.
    let mut narrow = format();
    for (number, (choice, wanted)) in cases.iter().enumerate() {
        if choice.limits.buffers == 4 {
            narrow =
                without(|kernel| matches!(kernel.kind, Kind::MatvecExperts | Kind::MatmulExperts));
        }
        let own = if choice.limits.buffers == 4 { &narrow } else { &format() };
        let planner = planner(choice, own, 77, 32).unwrap();
        let names = [1, 16, 17].map(|m| name(&planner, m));
        assert_eq!(&names, wanted, "case {number}");
        for m in [1, 2, 16, 17] {
            let given = operands(&planner, 80 * u64::from(m), planner.k * u64::from(m));
            match plan(&planner, &Call::Product { m }, &given) {
                Ok(_) => {}
                // Row by row, outputs begin where they cannot be bound.
                Err(error) => {
                    assert!(m > 1 && names[2] == "matvec_f32", "{error}");
                    assert!(error.to_string().contains("not a multiple of 256"), "{error}");
                }
            }
        }
    }
}

/// How limits are changed, and what is said of it.
type Case = (fn(&mut Limits), &'static str);

#[test]
fn what_no_kernel_fits_is_told_before_it_is_launched() {
    let cases: [Case; 4] = [
        (|l| l.invocations = 63, "may take 64 invocations of a workgroup; the device grants 63"),
        (|l| l.buffers = 1, "may take 2 storage buffers; the device grants 1"),
        (|l| l.dynamic = 1, "may take 2 storage buffers with dynamic offsets"),
        (|l| l.workgroup_bytes = 16383, "may take 16384 bytes of workgroup memory"),
    ];
    for (change, says) in cases {
        let mut choice = exact();
        change(&mut choice.limits);
        let error = planner(&choice, &format(), 3, 1).err().unwrap().to_string();
        assert!(error.contains(says) && error.contains("no kernel for"), "{error}");
    }
    let choice = Choice { turns: 1024, ..exact() };
    let error = planner(&choice, &format(), 3, 1).err().unwrap().to_string();
    assert!(error.contains("more turns of a loop than 1024"), "{error}");
    let mut choice = exact();
    choice.limits.workgroups = 2;
    let error = planner(&choice, &format(), 1 << 16, 1).err().unwrap().to_string();
    assert!(error.contains("more than 2 x 2 workgroups"), "{error}");
}

#[test]
fn limits_of_0_are_told_of() {
    let cases: [Case; 6] = [
        (|l| l.binding = 0, "bytes of a storage binding is 0"),
        (|l| l.workgroups = 0, "workgroups per dimension of a grid is 0"),
        (|l| l.invocations = 0, "invocations of a workgroup is 0"),
        (|l| l.workgroup_bytes = 0, "bytes of workgroup memory is 0"),
        (|l| l.buffers = 0, "storage buffers of a kernel is 0"),
        (|l| l.dynamic = 0, "storage buffers with dynamic offsets is 0"),
    ];
    for (change, says) in cases {
        let mut choice = exact();
        change(&mut choice.limits);
        let error = planner(&choice, &format(), 3, 1).err().unwrap().to_string();
        assert!(error.contains(says) && error.contains("device `a device`"), "{error}");
    }
    // Everything begins anywhere then.
    let mut choice = exact();
    choice.limits.alignment = 0;
    planner(&choice, &format(), 3, 1).unwrap();
}

#[test]
fn kernels_that_are_missing_are_made_up_for() {
    let planner_of = |format: &Format| planner(&exact(), format, 64, 8).unwrap();
    let no_matmul = without(|kernel| kernel.kind == Kind::Matmul);
    assert_eq!(name(&planner_of(&no_matmul), 3), "matvec_experts_f32");
    let no_matvec = without(|kernel| kernel.kind == Kind::Matvec);
    assert_eq!(name(&planner_of(&no_matvec), 1), "matvec_experts_f32");
    let tiles = without(|kernel| matches!(kernel.kind, Kind::Matvec | Kind::MatvecExperts));
    assert_eq!(name(&planner_of(&tiles), 1), "matmul_f32");

    let one_by_one = without(|kernel| {
        matches!(kernel.kind, Kind::Matmul | Kind::MatvecExperts | Kind::MatmulExperts)
    });
    let planner_one = planner_of(&one_by_one);
    assert_eq!(name(&planner_one, 3), "matvec_f32");
    let given = operands(&planner_one, 3 * 64, 3 * planner_one.k);
    let rows = plan(&planner_one, &Call::Product { m: 3 }, &given).unwrap().launches;
    let begins = rows.iter().map(|launch| {
        let written = launch.bound.iter().find_map(|bound| match bound {
            Bound::Written(view) => Some(view.begin),
            _ => None,
        });
        (launch.shape.m, written.unwrap())
    });
    assert_eq!(begins.collect::<Vec<_>>(), [(1, 0), (1, 256), (1, 512)]);

    let none = without(|kernel| !matches!(kernel.kind, Kind::Dequant));
    let planner_none = planner_of(&none);
    let given = operands(&planner_none, 64 * planner_none.k, 9 * planner_none.k);
    plan(&planner_none, &Call::Dequant { element: Element::F16 }, &given).unwrap();
    let experts = Experts { m: 1, used: 1, matrices: 1 };
    let gather = Call::Gather { rows: 1, element: Element::F32 };
    for call in [Call::Product { m: 1 }, Call::Product { m: 9 }, Call::Experts(experts), gather] {
        let error = plan(&planner_none, &call, &given).err().unwrap();
        assert!(matches!(error, Error::Missing { .. }), "{call:?}: {error}");
    }
}
